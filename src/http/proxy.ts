// The proxy door, for clients that can be told of an HTTP proxy and of no name server: CONNECT (RFC 9110 §9.3.6) to a site is answered here, as if
// its name had led to us; to any other host on 443 it is passed on as far as the tunnels allow; plain HTTP is passed on to nobody.
import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { isHost, plainHost } from "../lib/host-name.ts";
import type { Logger } from "../lib/log.ts";
import { plainAddress } from "../lib/prefixes.ts";
import { isOciError, OciError } from "../oci/error.ts";
import type { Connect } from "./server.ts";
import type { Tunnels } from "./tunnel.ts";

export interface ProxyParts {
  readonly tunnels: Pick<Tunnels, "through">;
  /** Whether a name, in plain form, is one that we speak TLS for ourselves. */
  readonly isOurs: (host: string) => boolean;
  readonly log: Logger;
}

/** Whoever may CONNECT elsewhere may send mail, or whatever else a port is for. */
const PORT = 443;

export const connecting =
  ({ tunnels, isOurs, log }: ProxyParts): Connect =>
  async (req, socket, head, { intercept, keep }) => {
    try {
      const host = targetOf(req.url ?? "");
      if (isOurs(host)) {
        socket.write(ESTABLISHED);
        return intercept();
      }
      keep();
      const opened = () => void socket.write(ESTABLISHED);
      await tunnels.through(socket, { host, port: PORT }, { door: "proxy", head, opened });
    } catch (error) {
      const client = plainAddress(socket.remoteAddress ?? "");
      if (!isOciError(error)) {
        log.error({ door: "proxy", client, err: error instanceof Error ? error.stack : String(error) }, "internal error");
        return void socket.destroy();
      }
      log.debug({ door: "proxy", client, err: error.message }, "CONNECT refused");
      refuse(socket, error);
    }
  };

const ESTABLISHED = "HTTP/1.1 200 Connection Established\r\n\r\n";
const TARGET = /^(?:\[([0-9a-f:.]{2,45})\]|([^:/?#@[\]\s]{1,254})):(\d{1,5})$/i;

/** Of `host:port`, which is all that a CONNECT may name. Throws NAME_INVALID, DENIED. */
const targetOf = (target: string): string => {
  const [, address, name, port] = TARGET.exec(target) ?? [];
  const host = address ?? plainHost(name ?? "");
  if (port === undefined || (address === undefined && !isHost(host)))
    throw new OciError("NAME_INVALID", "CONNECT is for a host and its port");
  if (Number(port) !== PORT) throw new OciError("DENIED", `only port ${PORT} is passed on, not ${port}`);
  return host;
};

/** Who is told no may read it, before its connection is broken with what it has sent on unread. Milliseconds. */
const LINGER = 1_000;

const refuse = (socket: Socket, { status, message }: OciError): void => {
  if (socket.destroyed) return;
  const text = `${message}\n`;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Refused"}`,
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(text)}`,
    "Connection: close",
  ];
  const close = setTimeout(() => socket.destroy(), LINGER);
  socket.once("close", () => clearTimeout(close)).resume();
  socket.end(`${head.join("\r\n")}\r\n\r\n${text}`);
};

/** A request in absolute form is for the host in it, whatever its Host says (RFC 9112 §3.2.2): from here on it looks like any other. */
export const toOrigin = (req: IncomingMessage): void => {
  const [, authority, path] = /^http:\/\/([^/?#@\s]+)(.*)$/i.exec(req.url ?? "") ?? [];
  if (authority === undefined || path === undefined) return;
  req.headers.host = authority;
  req.url = path.startsWith("/") ? path : `/${path}`;
};
