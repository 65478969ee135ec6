// A registry on a real socket of 127.0.0.1 that misbehaves as a test tells it to, and remembers what it was asked.
//
//   const upstream = await faultUpstream({ auth: { kind: "bearer", users: { ann: "pw" }, owners: { "team/app": "ann" } } });
//   const { top, layers } = upstream.content.seed({ repo: "team/app", tag: "latest", layers: 100_000 });
//   upstream.fault(/\/blobs\//, cutAt(1_000), 1);     // behaviours: behaviours.ts; the next one alone, or all without a number
//   … upstream.url …
//   expect(upstream.count(({ path }) => path.includes("/blobs/"))).toBe(2);
//
// Content: `content.seed / putManifest / moveTag / deleteTag / putBlob / removeBlob …` (content.ts). Access: auth.ts; `gate.revokeTokens()`.
// Log: `log`, `count(predicate)`, `bytes(predicate)`, `clear()`. The second origin that `redirect()` leads to logs here with origin "store".
// Outages: `stop()` (refused), `start()` (same port), `freeze()` (taken, never answered), `thaw()`. It closes itself when its test has ended.
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { type Answer, answerWith, deliver, refuse } from "./answer.ts";
import { type Auth, Gate } from "./auth.ts";
import type { Behaviour } from "./behaviours.ts";
import { Content } from "./content.ts";
import { type Logged, loggedOf, type Match, matcher } from "./log.ts";
import { answerCatalog, answerRead, answerWrite, read, routeOf } from "./routes.ts";

export interface FaultOptions {
  readonly auth?: Auth;
  /** Speaks TLS with these. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Whose certificates the registry demands of clients; its second origin takes one where it is given, and does without. */
  readonly clientCa?: string;
  /** In place of 127.0.0.1 in `url`. */
  readonly name?: string;
  /** By which tokens expire. */
  readonly clock?: () => number;
}

interface Fault {
  readonly matches: (request: Logged) => boolean;
  readonly behaviour: Behaviour;
  left: number;
}

export class FaultUpstream {
  readonly content = new Content();
  readonly gate: Gate;
  readonly log: Logged[] = [];
  readonly #options: FaultOptions;
  readonly #registry: Server;
  readonly #store: Server;
  readonly #stored = new Map<string, { readonly answer: Answer; left: number }>();
  #faults: Fault[] = [];
  #port = 0;
  #isFrozen = false;

  constructor(options: FaultOptions) {
    this.#options = options;
    this.gate = new Gate(options.auth ?? { kind: "none" }, options.clock ?? Date.now);
    const { tls, clientCa } = options;
    const serverFor = (origin: Logged["origin"]): Server => {
      const listener = (req: IncomingMessage, res: ServerResponse) => void this.#serve(origin, req, res);
      if (tls === undefined) return createServer(listener);
      const asked = clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: origin === "registry" };
      return createTlsServer({ ...tls, ...asked }, listener) as unknown as Server;
    };
    this.#registry = serverFor("registry");
    this.#store = serverFor("store");
  }

  /** Its origin, the same again after `stop` and `start`. */
  get url(): URL {
    return new URL(this.#originOf(this.#port));
  }

  async start(): Promise<void> {
    await listen(this.#registry, this.#port);
    await listen(this.#store, 0);
    this.#port = (this.#registry.address() as AddressInfo).port;
  }

  /** Connections are refused, those that are open torn. */
  async stop(): Promise<void> {
    await Promise.all([this.#registry, this.#store].map(close));
  }

  freeze(): void {
    this.#isFrozen = true;
  }

  /** What was asked while frozen stays without an answer. */
  thaw(): void {
    this.#isFrozen = false;
  }

  /** All faults that match apply, in order; a RegExp is held against the path with its query. Gives what lifts it. */
  fault(match: Match, behaviour: Behaviour, times = Number.POSITIVE_INFINITY): () => void {
    const fault = { matches: matcher(match), behaviour, left: times };
    this.#faults.push(fault);
    return () => {
      fault.left = 0;
    };
  }

  clearFaults(): void {
    this.#faults = [];
  }

  requests(match: Match = () => true): Logged[] {
    return this.log.filter(matcher(match));
  }

  count(match?: Match): number {
    return this.requests(match).length;
  }

  bytes(match?: Match): number {
    return this.requests(match).reduce((sum, one) => sum + one.bytes, 0);
  }

  clear(): void {
    this.log.length = 0;
  }

  async #serve(origin: Logged["origin"], req: IncomingMessage, res: ServerResponse): Promise<void> {
    const logged = loggedOf(origin, req);
    this.log.push(logged);
    res.once("close", () => {
      logged.isOver = true;
    });
    if (this.#isFrozen) return;
    try {
      const answer = origin === "store" ? this.#answerStored(req) : await this.#answer(req);
      answer.range ??= req.headers.range;
      this.#spoil(answer, logged);
      res.on("error", () => undefined);
      logged.status = answer.status;
      await deliver(answer, req, res, (bytes) => {
        logged.bytes += bytes;
      });
      logged.status = res.statusCode;
    } catch {
      // a client that left, or a test that went wrong and sees its connection torn
      res.destroy();
    }
  }

  async #answer(req: IncomingMessage): Promise<Answer> {
    const url = new URL(req.url ?? "/", this.url);
    if (url.pathname === "/token") {
      const form = req.method === "POST" ? new URLSearchParams((await read(req)).toString()) : url.searchParams;
      return this.gate.token(req, form);
    }
    const isRead = req.method === "GET" || req.method === "HEAD";
    if (url.pathname === "/v2/_catalog" && isRead)
      return this.gate.catalogRefusal(req, this.url.origin) ?? answerCatalog(this.content, url);
    const route = routeOf(url.pathname);
    if (route === undefined && url.pathname !== "/v2/") return refuse(404, "UNSUPPORTED");
    const refusal = this.gate.refusal(req, route?.repo, isRead ? "pull" : "push", this.url.origin);
    if (refusal !== undefined) return refusal;
    if (route === undefined) return answerWith(200, {});
    return isRead ? answerRead(this.content, route, url) : answerWrite(this.content, route, req, url);
  }

  /** As S3 does: a signature in the query, or a credential, never both. */
  #answerStored(req: IncomingMessage): Answer {
    if (req.headers.authorization !== undefined) return refuse(400, "INVALID_ARGUMENT");
    const stored = this.#stored.get(req.url ?? "");
    if (stored === undefined || stored.left === 0) return refuse(403, "ACCESS_DENIED");
    stored.left -= 1;
    return { ...stored.answer, headers: { ...stored.answer.headers } };
  }

  #spoil(answer: Answer, logged: Logged): void {
    const store = (kept: Answer, uses = Number.POSITIVE_INFINITY) => {
      const path = `/signed/${this.#stored.size}?X-Amz-Signature=0123abcd%2F${this.#stored.size}`;
      this.#stored.set(path, { answer: { ...kept, range: undefined }, left: uses });
      return `${this.#originOf((this.#store.address() as AddressInfo).port)}${path}`;
    };
    for (const fault of this.#faults.filter(({ left, matches }) => left > 0 && matches(logged))) {
      fault.left -= 1;
      fault.behaviour({ answer, request: logged, store });
    }
  }

  #originOf(port: number): string {
    return `${this.#options.tls === undefined ? "http" : "https"}://${this.#options.name ?? "127.0.0.1"}:${port}`;
  }
}

/** Listening; stopped when the test that called it has ended. */
export const faultUpstream = async (options: FaultOptions = {}): Promise<FaultUpstream> => {
  const upstream = new FaultUpstream(options);
  await upstream.start();
  onTestFinished(() => upstream.stop());
  return upstream;
};

const listen = async (server: Server, port: number): Promise<void> => {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
};

const close = async (server: Server): Promise<void> => {
  if (!server.listening) return;
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
};
