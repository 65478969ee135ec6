// DNS over HTTPS (RFC 8484) over HTTP/2, its least version: one connection, a stream for each question.
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { isIP } from "node:net";
import { performance } from "node:perf_hooks";
import { formatAddress } from "../lib/listen.ts";
import type { HttpsResolver } from "../lib/resolver-address.ts";
import { judge, NoAnswer, type Patience, type Question, settle } from "./exchange.ts";
import type { Connection } from "./kept-resolver.ts";
import type { Secured } from "./tls-connection.ts";

const IDLE_MS = 30_000;
const MAX_MESSAGE = 65_535;
const TYPE = "application/dns-message";

export const connectHttps = (to: HttpsResolver, secured: Secured): Connection => new HttpsConnection(to, secured);

class HttpsConnection implements Connection {
  readonly #session: ClientHttp2Session;
  readonly #path: string;
  readonly #waiting = new Set<(error: NoAnswer) => void>();
  heardAt: number | undefined;

  constructor(to: HttpsResolver, { secureContext, lookup }: Secured) {
    const servername = isIP(to.host) === 0 ? { servername: to.host } : {};
    const session = connect(`https://${formatAddress(to)}`, { lookup, secureContext, rejectUnauthorized: true, ...servername });
    session.setTimeout(IDLE_MS, () => session.destroy());
    let failure: Error | undefined;
    session.on("error", (error: Error) => {
      failure = error;
    });
    session.on("close", () => {
      for (const reject of this.#waiting) reject(new NoAnswer(false, failure));
    });
    this.#session = session;
    this.#path = to.path;
  }

  get isOpen(): boolean {
    return !this.#session.closed && !this.#session.destroyed;
  }

  ask(question: Question, patience: Patience): Promise<Buffer> {
    return settle(patience, (resolve, reject) => {
      const stream = this.#session.request({
        ":method": "POST",
        ":path": this.#path,
        "content-type": TYPE,
        "content-length": question.message.length,
        accept: TYPE,
      });
      this.#waiting.add(reject);
      stream.on("error", (error) => reject(new NoAnswer(false, error)));
      stream.on("response", (headers) => {
        this.heardAt = performance.now();
        const status = headers[":status"];
        if (status !== 200 || headers["content-type"]?.split(";")[0]?.trim() !== TYPE) {
          reject(new NoAnswer(false, new Error(`HTTP status ${status}, ${headers["content-type"] ?? "no content type"}`)));
        }
      });
      read(stream, (reply) => {
        judge(reply, question, resolve, reject);
        reject(new NoAnswer(false)); // Nothing better comes on this stream.
      });
      stream.end(question.message);
      return () => {
        this.#waiting.delete(reject);
        if (!stream.closed) stream.close(constants.NGHTTP2_CANCEL);
      };
    });
  }

  close(): void {
    this.#session.destroy();
  }
}

const read = (stream: ClientHttp2Stream, done: (reply: Buffer) => void): void => {
  const chunks: Buffer[] = [];
  let octets = 0;
  stream.on("data", (chunk: Buffer) => {
    octets += chunk.length;
    if (octets > MAX_MESSAGE) stream.close(constants.NGHTTP2_CANCEL);
    else chunks.push(chunk);
  });
  stream.on("close", () => done(octets > MAX_MESSAGE ? Buffer.alloc(0) : Buffer.concat(chunks)));
};
