// The operations of a server elsewhere, asked over its admin listener. What cannot be reached is told apart from what it refuses.
import { type IncomingMessage, request as overHttp, type RequestOptions } from "node:http";
import { request as overTls } from "node:https";
import type { Progress } from "./answers.ts";
import { AdminError, isAdminCode } from "./error.ts";
import type { Call, OperationName, Operations } from "./operations.ts";
import { NDJSON, ROUTES, type Route } from "./routes.ts";

export interface Server {
  readonly url: URL;
  readonly token: string;
}

/** Nobody is there, what is there is no admin listener, or it has gone in the middle. The message says which. */
export class Unreachable extends Error {
  /** Nobody listens there at all. */
  readonly isAbsent: boolean;

  constructor(message: string, options: { isAbsent?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = "Unreachable";
    this.isAbsent = options.isAbsent ?? false;
  }
}

/** Nothing is heard for so long: a server tells of long work far more often. Milliseconds. */
const SILENCE = 30_000;
/** Far more than the longest answer. Bytes. */
const MAX_LINE = 256 * 1024 * 1024;

/** Every method throws AdminError as the server does, or Unreachable. */
export const remoteOperations = (server: Server): Operations => {
  const names = Object.keys(ROUTES) as OperationName[];
  const entries = names.map((name) => [name, (input: object, call: Call) => ask(server, ROUTES[name], input, call)] as const);
  return Object.fromEntries(entries) as unknown as Operations;
};

const ask = async (server: Server, route: Route, input: object, { signal, progress }: Call): Promise<unknown> => {
  const answer = await open(server, route, input, signal);
  const lines = linesOf(answer, server.url, signal);
  const type = answer.headers["content-type"] ?? "";
  if (type.startsWith(NDJSON)) return lastOf(lines, server.url, progress);
  if (!type.startsWith("application/json")) {
    answer.destroy();
    throw stranger(server.url, `HTTP ${answer.statusCode}, ${type || "without a type"}`);
  }
  let text = "";
  for await (const line of lines) text += line;
  const value = parse(text, server.url);
  if (answer.statusCode === 200) return value;
  throw refusalIn(value, answer, server.url);
};

const open = (server: Server, route: Route, input: object, signal: AbortSignal): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const { url, token } = server;
    const isGet = route.method === "GET";
    const body = isGet ? undefined : JSON.stringify(input);
    const options: RequestOptions = {
      method: route.method,
      path: `${url.pathname.replace(/\/$/, "")}${route.path}${isGet ? queryOf(input) : ""}`,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
      },
      agent: false,
      timeout: SILENCE,
      signal,
    };
    const sent = (url.protocol === "https:" ? overTls : overHttp)(new URL(url.origin), options, resolve);
    let isSent = false;
    sent.once("finish", () => {
      isSent = true;
    });
    sent.on("timeout", () => sent.destroy(new Error(`nothing was heard for ${SILENCE / 1_000} s`)));
    sent.on("error", (error: NodeJS.ErrnoException) => {
      if (signal.aborted) reject(signal.reason as Error);
      else reject(isSent && isCut(error) ? torn(url, error) : unreachable(url, error));
    });
    sent.end(body);
  });

const queryOf = (input: object): string => {
  const fields = Object.entries(input).filter(([, value]) => value !== undefined);
  const query = new URLSearchParams(Object.fromEntries(fields.map(([name, value]) => [name, String(value)])));
  return fields.length === 0 ? "" : `?${query.toString()}`;
};

/** Throws Unreachable when it is torn off. */
async function* linesOf(answer: IncomingMessage, url: URL, signal: AbortSignal): AsyncGenerator<string> {
  let rest = "";
  try {
    for await (const piece of answer.setEncoding("utf8") as AsyncIterable<string>) {
      rest += piece;
      const lines = rest.split("\n");
      rest = lines.pop()!;
      if (rest.length > MAX_LINE) throw stranger(url, "an answer without end");
      yield* lines;
    }
  } catch (error) {
    if (error instanceof Unreachable) throw error;
    throw signal.aborted ? signal.reason : torn(url, error);
  }
  if (rest !== "") yield rest;
}

const lastOf = async (lines: AsyncIterable<string>, url: URL, progress: (progress: Progress) => void): Promise<unknown> => {
  for await (const text of lines) {
    const line = parse(text, url) as { progress?: Progress | null; result?: unknown; error?: { code: string; message: string } };
    if ("result" in line) return line.result;
    if (line.error !== undefined) throw asThrown(line.error.code, line.error.message);
    if (line.progress !== undefined && line.progress !== null) progress(line.progress);
  }
  throw torn(url);
};

const parse = (text: string, url: URL): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    throw stranger(url, "an answer that is no JSON");
  }
};

export const refusalIn = (value: unknown, { statusCode, headers }: IncomingMessage, url: URL): Error => {
  const { code, message } = (value as { error?: { code?: unknown; message?: unknown } } | null)?.error ?? {};
  if (typeof code !== "string" || typeof message !== "string") return stranger(url, `HTTP ${statusCode}`);
  if (code === "UNAUTHORIZED")
    return new AdminError(code, `the Layover at ${url.origin} refuses this token: it is another one's`);
  if (code !== "NO_SUCH_PATH") return asThrown(code, message);
  const version = headers["layover-version"];
  return new Unreachable(
    `the Layover at ${url.origin}${version === undefined ? "" : ` (${String(version)})`} does not know this command: it is older`,
  );
};

/** A code that only a newer server has keeps its message. */
const asThrown = (code: string, message: string): AdminError =>
  isAdminCode(code) ? new AdminError(code, message) : new AdminError("INTERNAL", `${code}: ${message}`);

const unreachable = (url: URL, error: NodeJS.ErrnoException): Unreachable => {
  const isAbsent = ["ECONNREFUSED", "ENOENT", "EADDRNOTAVAIL"].includes(error.code ?? "");
  const why = isAbsent ? "nothing listens there" : error.message;
  return new Unreachable(`no Layover can be reached at ${url.origin}: ${why}`, { isAbsent, cause: error });
};

const isCut = ({ code }: NodeJS.ErrnoException): boolean => code === "ECONNRESET" || code === "EPIPE";

const torn = (url: URL, cause?: unknown): Unreachable =>
  new Unreachable(`the Layover at ${url.origin} went away before it had answered`, { cause });

const stranger = (url: URL, what: string): Unreachable =>
  new Unreachable(`what answers at ${url.origin} is no Layover's admin listener (${what})`);
