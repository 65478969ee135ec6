// Requests to upstreams: own name resolution, own roots, redirects followed here with the credential left behind, idle limits only.
import type { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import request from "undici/lib/api/api-request.js";
import { abortable } from "../lib/abort.ts";
import { OciError } from "../oci/error.ts";
import type { Tally } from "../oci/registry.ts";
import { Agents } from "./agents.ts";
import { drop } from "./body.ts";
import type { Kind } from "./breaker.ts";
import { Lines } from "./line.ts";
import type { Way } from "./way.ts";

const IDLE = 30_000;
const MAX_REDIRECTS = 5;
const CONCURRENCY = 64;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

export interface Sent {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: URL;
  /** It may hold a secret, and goes nowhere else, whatever redirects say. Destroyed when it is not wanted any more. */
  readonly body?: string | Buffer | Readable | undefined;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly tally: Tally;
  readonly kind: Kind;
  /** The address of whom it is sent for; none for our own questions. */
  readonly client?: string;
  /** Called when it is its turn, before anything goes out to the host of `url` itself; what it throws is thrown. */
  readonly check?: () => void;
}

export interface Received {
  readonly status: number;
  /** Where it came from at last. */
  readonly url: URL;
  /** One value, the first, of a header. */
  header(name: string): string | undefined;
  headers(name: string): readonly string[];
  /** To be read to its end or destroyed. */
  readonly body: Dispatcher.ResponseData["body"];
}

export interface TransportOptions extends Way {
  readonly via: string;
  readonly userAgent: string;
  /** For the first byte and between two, never for the whole. Milliseconds; 30 s unless told. */
  readonly idle?: number;
  /** Requests that one origin gets at once, wherever a redirect leads; 64 unless told. */
  readonly concurrency?: number;
}

export class Transport {
  readonly lines: Lines;
  readonly #options: TransportOptions;
  readonly #agents: Agents;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#agents = new Agents(options, options.idle ?? IDLE);
    this.lines = new Lines(options.concurrency ?? CONCURRENCY);
  }

  /** Follows redirects of reads. Throws UPSTREAM_UNREACHABLE, LOOP_DETECTED, or the signal's reason. */
  async send(sent: Sent): Promise<Received> {
    let { url, headers } = sent;
    for (let hops = 0; ; hops += 1) {
      const hop = { ...sent, url, headers };
      const check = () => {
        if (hops === 0) sent.check?.();
        this.#options.resolver.refuseOurs(url);
      };
      const received = await this.lines.of(url.origin).ask(hop, check, (over) => this.#once(hop, over));
      const isFollowed = isRead(sent.method) && REDIRECTS.has(received.status);
      const location = isFollowed ? received.header("location") : undefined;
      if (location === undefined || location === "") return received;
      drop(received.body);
      if (hops === MAX_REDIRECTS) throw new OciError("UPSTREAM_INVALID", `${sent.url.host} redirects without end`);
      const next = redirectTarget(location, url);
      if (next.origin !== url.origin) headers = withoutCredential(headers);
      url = next;
    }
  }

  async close(): Promise<void> {
    await this.#agents.close();
  }

  /** `over` is called once the answer's body is. */
  async #once({ method, url, headers, body, signal, tally }: Sent, over: () => void): Promise<Received> {
    const { via, userAgent } = this.#options;
    const question = {
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method,
      headers: { ...headers, "accept-encoding": "identity", "user-agent": userAgent, via },
      ...(body !== undefined && { body }),
      signal,
    };
    try {
      const ask = (keepAlive: boolean) => {
        tally.upstreamRequests += 1;
        return request.call(this.#agents.for(url, keepAlive), question);
      };
      // a write is not ours to repeat, so no connection that may just be closing is used for it
      const asking = isRead(method) ? twiceIfLost(ask) : ask(false);
      const response = await leavable(asking, signal);
      response.body.once("close", over);
      if (response.statusCode !== 508) return receivedOf(response, url);
      drop(response.body);
      throw new OciError("LOOP_DETECTED", `${url.host} leads back to Layover`);
    } catch (error) {
      signal.throwIfAborted();
      throw unreachable(error, url.host);
    }
  }
}

const isRead = (method: Sent["method"]): boolean => method === "GET" || method === "HEAD";

const LOST = new Set(["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"]);

/**
 * A server may close a connection just as we use it again: what is lost before any answer is asked once more, as GET and HEAD may be
 * (RFC 9110 §9.2.2), on a new connection, since all that lie idle may have the same fate.
 */
const twiceIfLost = async <T>(ask: (keepAlive: boolean) => Promise<T>): Promise<T> => {
  try {
    return await ask(true);
  } catch (error) {
    if (LOST.has((error as NodeJS.ErrnoException).code ?? "")) return ask(false);
    throw error;
  }
};

/** undici hears a signal only once it has a connection, which a name server that is gone may keep it from for seconds. */
const leavable = async (asking: Promise<Dispatcher.ResponseData>, signal: AbortSignal): Promise<Dispatcher.ResponseData> => {
  const leave = () => void asking.then(({ body }) => drop(body)).catch(() => undefined);
  signal.addEventListener("abort", leave, { once: true });
  try {
    return await abortable(asking, signal);
  } finally {
    signal.removeEventListener("abort", leave);
  }
};

const receivedOf = (response: Dispatcher.ResponseData, url: URL): Received => {
  const headers = (name: string) => [response.headers[name] ?? []].flat();
  return { status: response.statusCode, url, headers, header: (name) => headers(name)[0], body: response.body };
};

const redirectTarget = (location: string, base: URL): URL => {
  if (!URL.canParse(location, base.href)) throw new OciError("UPSTREAM_INVALID", `${base.host} redirects to what is no URL`);
  const next = new URL(location, base);
  const isSafer = next.protocol === "https:" || (next.protocol === "http:" && base.protocol === "http:");
  if (!isSafer) throw new OciError("UPSTREAM_INVALID", `${base.host} redirects to ${next.protocol}//, which is not followed`);
  return next;
};

const withoutCredential = ({
  authorization: _credential,
  cookie: _cookie,
  ...rest
}: Readonly<Record<string, string>>): Record<string, string> => rest;

/** What a socket, TLS or a resolver says, as one kind of error with a reason a person can use. */
export const unreachable = (error: unknown, host: string): OciError => {
  if (error instanceof OciError) return error;
  const { code, message, cause } = error as NodeJS.ErrnoException;
  if (cause instanceof OciError) return cause;
  return new OciError("UPSTREAM_UNREACHABLE", `${host} cannot be reached: ${code ?? message}`, { cause: error });
};
