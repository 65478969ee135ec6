// On what the figures were made: they mean something only beside each other, on one machine.
import { cpus, loadavg, release } from "node:os";
import { must, run } from "../e2e/part.ts";
import { binaryOf } from "./registry.ts";
import type { Name } from "./server.ts";
import type { Stage } from "./stage.ts";

export type Machine = {
  date: string;
  cores: number;
  cpu: string;
  kernel: string;
  /** Of the minute before: what else it had to do. */
  load: number;
  node: string;
  /** The file system under the servers' data. */
  folder: string;
  versions: Record<string, string>;
  ciphers: Partial<Record<Name, string>>;
};

/** The first line of what a command says about itself, wherever it says it. */
const says = async (...argv: string[]): Promise<string> => {
  const { out, err } = await run(argv, { ms: 5_000 });
  return (
    (out + err)
      .split("\n")
      .find((line) => /\d\.\d/.test(line))
      ?.trim() ?? "?"
  );
};

const number = (text: string): string => /v?(\d+\.\d+[\w.+-]*)/.exec(text)?.[1] ?? text;

const COMMANDS: Record<string, string[]> = {
  nginx: ["nginx", "-v"],
  distribution: [binaryOf("distribution"), "--version"],
  "docker-registry": [binaryOf("docker-registry"), "--version"],
  dnsmasq: ["dnsmasq", "--version"],
  wrk: ["wrk", "-v"],
  dnsperf: ["dnsperf", "-h"],
  curl: ["curl", "--version"],
  OpenSSL: ["openssl", "version"],
};

export const machine = async (stage: Stage): Promise<Machine> => {
  const versions: Record<string, string> = {};
  for (const [name, argv] of Object.entries(COMMANDS)) versions[name] = `${name} ${number(await says(...argv))}`;
  const [cpu] = cpus();
  return {
    date: new Date().toISOString().slice(0, 10),
    cores: cpus().length,
    cpu: cpu?.model.trim() ?? "?",
    kernel: release(),
    load: loadavg()[0] ?? Number.NaN,
    node: process.versions.node,
    folder: (await must(["df", "--output=fstype", stage.dir])).trim().split("\n").at(-1) ?? "?",
    versions,
    ciphers: await stage.ciphers(),
  };
};
