// A bundle's bytes at a server elsewhere, over its admin listener. What cannot be reached is told apart from what it refuses.
import { type IncomingMessage, type OutgoingHttpHeaders, request as overHttp } from "node:http";
import { request as overTls } from "node:https";
import type { Readable } from "node:stream";
import type { Content } from "./content.ts";
import { contentPath } from "./content-route.ts";
import { AdminError } from "./error.ts";
import { refusalIn, type Server, Unreachable } from "./remote.ts";

/** Nothing moves for so long: a server that syncs many GiB to its disk is silent meanwhile. Milliseconds. */
const SILENCE = 10 * 60_000;
/** Of an answer that is an error. Bytes. */
const MAX_ERROR = 64 * 1024;

export const remoteContent = (server: Server): Content => ({
  async read(digest, start, signal) {
    const headers = start === 0 ? {} : { range: `bytes=${start}-` };
    const answer = await exchange(server, "GET", contentPath(digest), headers, signal);
    if (answer.statusCode === (start === 0 ? 200 : 206)) return answer;
    throw await refusalOf(answer, server);
  },
  async put(digest, size, body, signal) {
    try {
      const answer = await exchange(server, "PUT", contentPath(digest), { "content-length": size }, signal, body);
      if (answer.statusCode !== 204) throw await refusalOf(answer, server);
      answer.resume();
    } finally {
      body.destroy();
    }
  },
});

const exchange = (
  { url, token }: Server,
  method: string,
  path: string,
  headers: OutgoingHttpHeaders,
  signal: AbortSignal,
  body?: Readable,
): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const options = {
      method,
      path: `${url.pathname.replace(/\/$/, "")}${path}`,
      headers: { authorization: `Bearer ${token}`, ...headers },
      agent: false,
      timeout: SILENCE,
      signal,
    };
    const sent = (url.protocol === "https:" ? overTls : overHttp)(new URL(url.origin), options, resolve);
    sent.on("timeout", () => sent.destroy(new Error(`nothing was heard for ${SILENCE / 60_000} minutes`)));
    sent.on("error", (error) => {
      if (signal.aborted) reject(signal.reason as Error);
      else reject(new Unreachable(`the Layover at ${url.origin} went away: ${error.message}`, { cause: error }));
    });
    if (body === undefined) return void sent.end();
    body.on("error", (error) => {
      reject(error);
      sent.destroy();
    });
    body.pipe(sent);
  });

/** A server that refuses a body answers in its middle, and ends the connection: what it says is worth more than that. */
const refusalOf = async (answer: IncomingMessage, { url }: Server): Promise<Error> => {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_ERROR) break;
      chunks.push(chunk);
    }
    return refusalIn(JSON.parse(Buffer.concat(chunks).toString("utf8")), answer, url);
  } catch {
    return new AdminError("INTERNAL", `the Layover at ${url.origin} answered HTTP ${answer.statusCode}`);
  }
};
