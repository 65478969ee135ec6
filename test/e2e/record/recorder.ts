// Stands before Layover under the hijacked names, passes everything on as it came, and remembers what clients sent.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { ClientRequest, IncomingMessage, ServerResponse } from "node:http";
import { Agent, createServer, request, type Server } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { createSecureContext, type TLSSocket } from "node:tls";
import type { Authority, Pair } from "../authority.ts";
import { Internet } from "../internet.ts";
import { ADDRESS as LAYOVER } from "../layover.ts";
import { until } from "../until.ts";

export const ADDRESS = "127.0.0.9";
/** Its own DNS, which gives its address for the hijacked names. */
export const DNS = "127.0.0.10";
/** Answers are held back this long and let go together, so that what a client asks at the same time is seen to be so. Milliseconds. */
const HOLD = 50;
/** A client that has been silent this long after its command has ended has nothing more to ask. Milliseconds. */
const SILENCE = 300;
/** Where an upload is torn: more than any configuration has, less than any layer. Bytes. */
const UPLOAD_TORN_AT = 500;

/** One request as it was heard. */
export interface Heard {
  readonly connection: number;
  readonly host: string;
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
  readonly began: number;
  ended: number;
  body: Buffer;
  status: number;
  location: string | undefined;
  bytes: number;
  torn: boolean;
  left: boolean;
}

interface Tear {
  readonly digest: string;
  readonly at: number;
}

export class Recorder {
  readonly #server: Server;
  readonly #dns: Internet;
  readonly #ca: string;
  readonly #agents = new WeakMap<object, { readonly number: number; readonly agent: Agent }>();
  #heard: Heard[] = [];
  #connections = 0;
  #clock = 0;
  #open = 0;
  #moved = 0;
  #tear: Tear | undefined;
  #tearsUpload = false;
  #gate: Promise<void> | undefined;

  private constructor(pairs: ReadonlyMap<string, Pair>, dns: Internet, ca: string) {
    this.#dns = dns;
    this.#ca = ca;
    const contexts = new Map(
      [...pairs].map(([host, { certificate, key }]) => [
        host,
        createSecureContext({ cert: readFileSync(certificate), key: readFileSync(key) }),
      ]),
    );
    const SNICallback = (name: string, done: (error: Error | null, context?: ReturnType<typeof createSecureContext>) => void) =>
      done(null, contexts.get(name));
    this.#server = createServer(
      { SNICallback, ALPNProtocols: ["http/1.1"], keepAliveTimeout: 65_000, requestTimeout: 0 },
      (req, res) => this.#pass(req, res),
    );
  }

  /** `names` are the rest of the world, by address. */
  static async start(
    authority: Authority,
    hosts: readonly string[],
    names: ReadonlyMap<string, string>,
    ca: string,
    log: string,
  ): Promise<Recorder> {
    const pairs = new Map<string, Pair>();
    for (const host of hosts) pairs.set(host, await authority.issue(host));
    const dns = new Internet(new Map([...hosts.map((host) => [host, ADDRESS] as const), ...names]), log, DNS);
    await dns.start();
    const recorder = new Recorder(pairs, dns, readFileSync(ca, "utf8"));
    recorder.#server.listen(443, ADDRESS);
    await once(recorder.#server, "listening");
    return recorder;
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await this.#dns.stop();
  }

  /** The next download of this blob ends, with its connection, after that many bytes. */
  tearOnce(digest: string, at: number): void {
    this.#tear = { digest, at };
  }

  /** The next upload that is long enough ends in the midst, with its connection. */
  tearUploadOnce(): void {
    this.#tearsUpload = true;
  }

  /** What was heard while `act` ran, and until the client was silent. */
  async session<T>(act: () => Promise<T>): Promise<{ result: T; heard: readonly Heard[] }> {
    this.#heard = [];
    const result = await act();
    await until("the client to be silent", 20_000, () => this.#open === 0 && Date.now() - this.#moved > SILENCE);
    this.#tear = undefined;
    this.#tearsUpload = false;
    this.#server.closeIdleConnections();
    await sleep(50); // so that clients notice before they ask again
    return { result, heard: this.#heard };
  }

  /** One way to Layover for each connection of a client, so that it sees them as they are. */
  #lane(socket: TLSSocket): { readonly number: number; readonly agent: Agent } {
    const known = this.#agents.get(socket);
    if (known !== undefined) return known;
    const lane = { number: ++this.#connections, agent: new Agent({ keepAlive: true, maxSockets: 1 }) };
    this.#agents.set(socket, lane);
    socket.once("close", () => lane.agent.destroy());
    return lane;
  }

  #pass(req: IncomingMessage, res: ServerResponse): void {
    const socket = req.socket as TLSSocket;
    const host = String(socket.servername);
    const { number, agent } = this.#lane(socket);
    const heard: Heard = {
      connection: number,
      host,
      method: req.method ?? "",
      target: req.url ?? "",
      rawHeaders: req.rawHeaders,
      began: ++this.#clock,
      ended: 0,
      body: Buffer.alloc(0),
      status: 0,
      location: undefined,
      bytes: 0,
      torn: false,
      left: false,
    };
    this.#heard.push(heard);
    this.#open++;
    this.#moved = Date.now();
    const up = request({
      host: LAYOVER,
      port: 443,
      servername: host,
      ca: this.#ca,
      agent,
      method: heard.method,
      path: heard.target,
      headers: req.rawHeaders,
    });
    up.on("response", (answer) => void this.#answer(heard, answer, up, res));
    up.on("error", () => heard.torn || res.destroy());
    res.once("close", () => {
      heard.left = !res.writableFinished && !heard.torn;
      if (!res.writableFinished) up.destroy();
      heard.ended ||= ++this.#clock;
      this.#open--;
      this.#moved = Date.now();
    });
    void this.#upload(heard, req, up);
  }

  async #upload(heard: Heard, req: IncomingMessage, up: ClientRequest): Promise<void> {
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        chunks.push(chunk);
        length += chunk.length;
        if (this.#tearsUpload && heard.target.includes("/blobs/uploads/") && length > UPLOAD_TORN_AT) {
          this.#tearsUpload = false;
          heard.body = Buffer.concat(chunks).subarray(0, UPLOAD_TORN_AT);
          this.#tearUpload(heard, req, up);
          return;
        }
        if (!up.write(chunk)) await once(up, "drain");
      }
    } catch {
      up.destroy(); // the client broke off, or Layover did
      return;
    }
    heard.body = Buffer.concat(chunks);
    up.end();
  }

  /** Our side ends, and theirs is read on: so it is always an end that the client sees, and never by chance a reset. */
  #tearUpload(heard: Heard, req: IncomingMessage, up: ClientRequest): void {
    heard.torn = true;
    heard.ended = ++this.#clock;
    up.destroy();
    req.socket.end();
    req.resume();
    setTimeout(() => req.socket.destroy(), 1_000).unref();
  }

  #turn(): Promise<void> {
    this.#gate ??= sleep(HOLD).then(() => (this.#gate = undefined));
    return this.#gate;
  }

  async #answer(heard: Heard, answer: IncomingMessage, up: ClientRequest, res: ServerResponse): Promise<void> {
    heard.status = answer.statusCode ?? 0;
    heard.location = answer.headers.location;
    answer.on("error", () => res.destroy());
    await this.#turn();
    if (res.destroyed) return;
    const gone = new AbortController();
    res.once("close", () => gone.abort());
    res.sendDate = false;
    res.writeHead(heard.status, answer.statusMessage, answer.rawHeaders);
    const tear = heard.method === "GET" && this.#tear && heard.target.endsWith(this.#tear.digest) ? this.#tear : undefined;
    if (tear !== undefined) this.#tear = undefined;
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      const piece = tear === undefined ? chunk : chunk.subarray(0, tear.at - heard.bytes);
      heard.bytes += piece.length;
      if (res.destroyed) return;
      if (!res.write(piece)) await once(res, "drain", { signal: gone.signal }).catch(() => undefined);
      if (tear === undefined || heard.bytes < tear.at) continue;
      heard.torn = true;
      heard.ended = ++this.#clock;
      up.destroy();
      res.socket?.destroySoon(); // gently: all that was written arrives
      return;
    }
    heard.ended = ++this.#clock; // now: the client may ask the next thing before we are told that this one is done
    res.end();
  }
}
