// The way out through an HTTP proxy: a tunnel by CONNECT (RFC 9110 §9.3.6) to every host, so that the proxy's own credentials are never part of a
// request to an upstream, and nothing of such a request is the proxy's to read. The proxy looks names of upstreams up; its own name we do.
import { request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { isIP, type LookupFunction, type Socket } from "node:net";
import type { SecureContext } from "node:tls";
import { basicCredential } from "../oci/basic.ts";
import { OciError } from "../oci/error.ts";
import { portOf } from "./port.ts";

const WITHIN = 8_000;

export interface HttpProxy {
  /** `http:` or `https:`, with the user and password that it wants. */
  readonly url: URL;
  /** For the proxy's own name. */
  readonly lookup: LookupFunction;
  readonly secureContext: SecureContext;
  /** For a tunnel: the proxy itself, and its own connection to the host. Milliseconds; 8 s unless told. */
  readonly within?: number;
}

/** `host` as in a URL. Throws UPSTREAM_UNREACHABLE with the proxy's host and why, or what the look-up throws. */
export const openTunnel = (
  { url, lookup, secureContext, within = WITHIN }: HttpProxy,
  host: string,
  port: number,
): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const target = `${host}:${port}`;
    const name = url.hostname.replace(/^\[|\]$/g, "");
    const authorization = authorizationOf(url);
    const options = {
      method: "CONNECT",
      host: name,
      // else Node takes the Host header for the proxy's name
      servername: isIP(name) === 0 ? name : "",
      port: portOf(url),
      path: target,
      headers: { host: target, ...(authorization !== undefined && { "proxy-authorization": authorization }) },
      agent: false as const,
      lookup,
      secureContext,
    };
    const request = url.protocol === "https:" ? tlsRequest(options) : plainRequest(options);
    const late = setTimeout(() => request.destroy(failed(url, "does not answer in time")), within);
    request.once("connect", ({ statusCode = 0 }, socket, head) => {
      clearTimeout(late);
      if (statusCode >= 200 && statusCode < 300 && head.length === 0) return resolve(socket as Socket);
      socket.destroy();
      reject(failed(url, refusalOf(statusCode, target)));
    });
    request.once("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(late);
      reject(error instanceof OciError ? error : failed(url, `cannot be reached: ${error.code ?? error.message}`, error));
    });
    request.end();
  });

const failed = ({ host }: URL, why: string, cause?: unknown): OciError =>
  new OciError("UPSTREAM_UNREACHABLE", `the HTTP proxy ${host} ${why}`, { cause });

const refusalOf = (status: number, target: string): string => {
  // 401 is tinyproxy's way of saying it
  if (status === 407 || status === 401) return `wants other credentials than its URL has (${status})`;
  if (status >= 200 && status < 300) return `does not keep to HTTP: it speaks in place of ${target}`;
  return `opens no tunnel to ${target}: it answers ${status}`;
};

const authorizationOf = ({ username, password }: URL): string | undefined => {
  if (username === "" && password === "") return undefined;
  return basicCredential(decodeURIComponent(username), decodeURIComponent(password));
};
