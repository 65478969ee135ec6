// A whole front end for tests: real doors with TLS, stores in a folder of its own, and the fault upstream as its site's registry.
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { onTestFinished } from "vitest";
import { type FrontEnd, frontEnd } from "../src/app.ts";
import { loadConfig } from "../src/config/load.ts";
import { silent } from "../src/lib/log.ts";
import type { FaultUpstream } from "./faults/upstream.ts";

export const HOST = "registry.test";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** False: it broke off. */
  readonly whole: boolean;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: Buffer;
  readonly host?: string;
  readonly servername?: string;
}

export class Front {
  readonly folder: string;
  readonly #upstream: string;
  readonly #site: object;
  readonly #others: object;
  #front: FrontEnd | undefined;

  /** `others` are further sites by name. */
  constructor(upstream: string, site: object, others: object = {}) {
    this.folder = mkdtempSync(join(tmpdir(), "layover-front-"));
    this.#upstream = upstream;
    this.#site = site;
    this.#others = others;
    onTestFinished(async () => {
      await this.stop();
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  /** `site` is what its settings are from now on, besides those it was made with; `files` lie beside the configuration, which has `more`. */
  async start({
    listen = {},
    upstream = this.#upstream,
    site = {},
    resolvers = ["127.0.0.1:9"],
    files = {},
    more = {},
  } = {}): Promise<void> {
    for (const [name, text] of Object.entries<string>(files)) writeFileSync(join(this.folder, name), text);
    const file = join(this.folder, "layover.yaml");
    const settings = {
      listen: { dns: [], https: ["127.0.0.1:0"], http: ["127.0.0.1:0"], admin: "127.0.0.1:0", ...listen },
      resolvers,
      sites: { [HOST]: { upstream, ...this.#site, ...site }, ...this.#others },
      ...more,
    };
    writeFileSync(file, JSON.stringify(settings));
    const config = await loadConfig({ file, env: {}, cwd: this.folder });
    this.#front = await frontEnd(config, silent);
  }

  async stop(): Promise<void> {
    await this.#front?.close(AbortSignal.abort());
    this.#front = undefined;
  }

  /** The running front end. */
  get running(): FrontEnd {
    return this.#front!;
  }

  get #ports(): readonly number[] {
    return this.#front!.identity.addresses.map((address) => Number(address.split(":").at(-1)));
  }

  /** Through the TLS door. */
  ask(path: string, ask: Ask = {}): Promise<Answer> {
    const { host = HOST, servername = host } = ask;
    return send(httpsRequest, { port: this.#ports[0]!, servername, ca: this.#front!.ca }, path, { ...ask, host });
  }

  /** A bare connection to the TLS door. */
  async dial(servername: string): Promise<TLSSocket> {
    const socket = connect({ host: "127.0.0.1", port: this.#ports[0]!, servername, ca: this.#front!.ca });
    await once(socket, "secureConnect");
    return socket;
  }

  /** A GET through the TLS door that is left when so many bytes of its body have come; with what had come by then. */
  leave(path: string, after: number, headers: Record<string, string> = {}): Promise<Buffer> {
    const options = { host: "127.0.0.1", port: this.#ports[0]!, servername: HOST, ca: this.#front!.ca, agent: false };
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      const sent = httpsRequest({ ...options, path, headers: { host: HOST, ...headers } }, (answer) => {
        let left = after;
        answer.on("data", (chunk: Buffer) => {
          chunks.push(chunk);
          left -= chunk.length;
          if (left <= 0) sent.destroy();
        });
        answer.on("error", () => undefined);
        if (left <= 0) sent.destroy();
      });
      sent.on("close", () => resolve(Buffer.concat(chunks)));
      sent.on("error", reject);
      sent.end();
    });
  }

  /** Through the plain door. */
  page(path: string, host = "127.0.0.1"): Promise<Answer> {
    return send(httpRequest, { port: this.#ports[1]! }, path, { host });
  }
}

/** Below the ports that the kernel hands out by itself: none of the tests beside this one is given it before it is used. */
export const freePort = async (): Promise<number> => {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    if (await isFree(port)) return port;
  }
  throw new Error("a hundred ports are all taken");
};

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });

export const startFront = async (upstream: FaultUpstream | string, site: object = {}): Promise<Front> => {
  const front = new Front(typeof upstream === "string" ? upstream : upstream.url.origin, site);
  await front.start();
  return front;
};

const send = (
  request: typeof httpsRequest | typeof httpRequest,
  options: RequestOptions,
  path: string,
  { method = "GET", headers = {}, body, host = HOST }: Ask,
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const sent = request({ ...options, host: "127.0.0.1", path, method, headers: { host, ...headers }, agent: false }, (answer) =>
      resolve(readAnswer(answer)),
    );
    sent.on("error", reject);
    sent.end(body);
  });

/** Torn ones too, as far as they go. */
export const readAnswer = (answer: IncomingMessage): Promise<Answer> =>
  new Promise((resolve) => {
    const chunks: Buffer[] = [];
    answer.on("data", (chunk: Buffer) => chunks.push(chunk));
    answer.on("error", () => undefined);
    answer.on("close", () =>
      resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks), whole: answer.complete }),
    );
  });
