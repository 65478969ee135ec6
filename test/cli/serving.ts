// `layover serve` as processes on 127.0.0.1, and the internet's DNS beside them, for tests of how they start, fall ill and end.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { decode, encode } from "dns-packet";
import { onTestFinished } from "vitest";
import { question } from "../dns/message.ts";
import { askUdp, fakeResolver } from "../dns/resolver.ts";
import { freePort } from "../front.ts";
import { emptyFolder } from "./command.ts";

const SHIM = join(import.meta.dirname, "../../scripts/layover.mjs");
const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("LAYOVER_")));

/** What the internet says that every name's address is. */
export const REAL = "192.0.2.7";
/** What hijacked names lead to. */
export const OURS = "127.0.0.3";

export const childrenOf = (pid: number): number[] => {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
};

export const eventually = async (what: string, ms: number, probe: () => Promise<boolean> | boolean): Promise<number> => {
  const began = performance.now();
  while (performance.now() - began < ms) {
    if (await Promise.resolve(probe()).catch(() => false)) return performance.now() - began;
    await sleep(20);
  }
  throw new Error(`waited ${ms} ms in vain: ${what}`);
};

/** 8.8.8.8's part. */
export const internet = async (): Promise<string> => {
  const resolver = await fakeResolver(({ message, send }) => {
    const { id, questions } = decode(message);
    const answers = questions!.map(({ name }) => ({ type: "A" as const, name, ttl: 1, data: REAL }));
    send(encode({ type: "response", id: id!, questions: questions!, answers }));
  });
  onTestFinished(() => resolver[Symbol.asyncDispose]());
  return resolver.text;
};

/** The addresses that a DNS server gives for a name. */
const addressesAt = async (dns: string, name: string): Promise<string[]> => {
  const late = sleep(2_000).then(() => undefined);
  const reply = await Promise.race([askUdp(dns, question(name)), late]);
  const answers = reply === undefined ? [] : (decode(reply).answers ?? []);
  return answers.flatMap((answer) => (answer.type === "A" ? [String(answer.data)] : []));
};

export interface Page {
  readonly status: number;
  readonly body: string;
}

export const pageAt = (http: string, path: string, ms = 2_000): Promise<Page> =>
  new Promise((resolve, reject) => {
    const sent = request(`http://${http}${path}`, { agent: false, signal: AbortSignal.timeout(ms) }, (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (text: string) => (body += text));
      answer.on("error", reject).on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
    });
    sent.on("error", reject).end();
  });

type Line = Record<string, unknown>;

export class Serving {
  readonly folder: string;
  readonly dns: string;
  readonly http: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #file: string;
  readonly #args: readonly string[];
  /** The command's script: of a checkout of its own, where a test changes files. */
  shim = SHIM;
  readonly lines: Line[] = [];
  #child: ChildProcess | undefined;

  private constructor(folder: string, ports: { dns: string; http: string }, args: readonly string[], env: NodeJS.ProcessEnv) {
    this.folder = folder;
    this.dns = ports.dns;
    this.http = ports.http;
    this.#file = join(folder, "layover.yaml");
    this.#args = args;
    this.#env = env;
  }

  /** Starts nothing yet. `settings` are merged over what names OURS and asks the `internet`. */
  static async make(
    settings: { readonly listen?: object } & Record<string, unknown> = {},
    args: readonly string[] = [],
    { env = {}, host = "127.0.0.1", ...given }: { env?: NodeJS.ProcessEnv; host?: string; http?: string } = {},
  ): Promise<Serving> {
    const dns = `127.0.0.1:${await freePort()}`;
    const http = given.http ?? `${host}:${await freePort()}`;
    const serving = new Serving(emptyFolder(), { dns, http }, args, env);
    const { listen, ...rest } = settings;
    serving.configure({
      listen: { dns, https: `${host}:${await freePort()}`, http, proxy: [], admin: `${host}:${await freePort()}`, ...listen },
      ...{ answer: OURS, resolvers: settings["resolvers"] ?? "127.0.0.1:9", log: { format: "json" }, ...rest },
    });
    return serving;
  }

  get settings(): Record<string, unknown> {
    return JSON.parse(readFileSync(this.#file, "utf8")) as Record<string, unknown>;
  }

  configure(settings: object): void {
    writeFileSync(this.#file, JSON.stringify(settings));
  }

  start(): void {
    const argv = [this.shim, "serve", "--config", this.#file, ...this.#args];
    const env = { ...clean, ...this.#env };
    const child = spawn(process.execPath, argv, { cwd: this.folder, env, stdio: ["ignore", "pipe", "inherit"] });
    this.#child = child;
    onTestFinished(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGCONT");
      child.kill("SIGKILL");
      await once(child, "exit");
    });
    createInterface({ input: child.stdout }).on("line", (line) => this.lines.push(JSON.parse(line) as Line));
  }

  async started(): Promise<this> {
    this.start();
    await this.ready();
    return this;
  }

  ready(): Promise<number> {
    return eventually("the front end to be ready", 15_000, async () => (await this.readyz()).status === 200);
  }

  readyz(): Promise<Page> {
    return pageAt(this.http, "/readyz");
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  /** The parent's only child. */
  get front(): number {
    return childrenOf(this.pid)[0]!;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child!.kill(signal);
  }

  /** With what it has ended; milliseconds. */
  async ended(): Promise<{ code: number | null; ms: number }> {
    const began = performance.now();
    const child = this.#child!;
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    return { code: child.exitCode, ms: performance.now() - began };
  }

  addresses(name = "ghcr.io"): Promise<string[]> {
    return addressesAt(this.dns, name);
  }

  /** The first of them; "none". */
  async address(name = "ghcr.io"): Promise<string> {
    return (await this.addresses(name))[0] ?? "none";
  }

  leads(to: string, within: number, name = "ghcr.io"): Promise<number> {
    return eventually(`${name} to lead to ${to}`, within, async () => (await this.address(name)) === to);
  }

  said(message: string): Line[] {
    return this.lines.filter((line) => line["msg"] === message);
  }
}
