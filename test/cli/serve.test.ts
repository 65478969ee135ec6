// The whole appliance as a process: two halves that start, work and end together.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { decode } from "dns-packet";
import { describe, expect, it, onTestFinished } from "vitest";
import { TYPE } from "../../src/dns/wire.ts";
import { question } from "../dns/message.ts";
import { askUdp } from "../dns/resolver.ts";
import { emptyFolder, run } from "./command.ts";

const SHIM = join(import.meta.dirname, "../../scripts/layover.mjs");
const PORTS = { dns: "127.0.0.1:0", https: "127.0.0.1:0", http: "127.0.0.1:0", proxy: [], admin: [] };
const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("LAYOVER_")));

const configured = (settings: object = {}): string => {
  const cwd = emptyFolder();
  const config = { listen: PORTS, answer: "127.0.0.3", resolvers: "127.0.0.1:9", log: { format: "json" }, ...settings };
  writeFileSync(join(cwd, "layover.yaml"), JSON.stringify(config));
  return cwd;
};

type Line = Record<string, unknown>;

const serve = (cwd: string) => {
  const child = spawn(process.execPath, [SHIM, "serve"], { cwd, env: clean, stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines = createInterface({ input: child.stdout });
  const all = lines[Symbol.asyncIterator]();
  const said = async (what: string): Promise<Line> => {
    for (let next = await all.next(); !next.done; next = await all.next()) {
      const line = JSON.parse(next.value) as Line;
      if (line["msg"] === what) return line;
    }
    throw new Error(`ended without saying ${what}`);
  };
  return { child, said };
};

const childrenOf = ({ pid }: ChildProcess): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
const isThere = (pid: number) => existsSync(`/proc/${pid}`);

describe("serve", () => {
  it("answers with what the configuration says, tells where, and ends with both halves", async () => {
    const { child, said } = serve(configured({ sites: { "hosted.example": {} }, name: "depot" }));
    const ready = await said("ready");
    expect(ready).toMatchObject({ answer: "127.0.0.3", names: expect.arrayContaining(["ghcr.io", "hosted.example"]) });
    const [dns] = ready["dns"] as string[];
    for (const name of ["GHCR.io", "hosted.example", "depot"]) {
      expect(decode(await askUdp(dns!, question(name))).answers).toMatchObject([{ name, data: "127.0.0.3" }]);
    }
    expect(decode(await askUdp(dns!, question("ghcr.io", TYPE.AAAA))).answers).toEqual([]);
    const [front, ...others] = childrenOf(child);
    expect(others).toEqual([]);
    child.kill("SIGTERM");
    expect(await once(child, "exit")).toEqual([0, null]);
    expect(isThere(front!)).toBe(false);
  });

  it("keeps what is secret in the half that needs it", async () => {
    const credentials = { token: "hunter2-of-the-registry" };
    const { child, said } = serve(configured({ sites: { "ghcr.io": { access: "shared", credentials } } }));
    await said("ready");
    const [front] = childrenOf(child);
    for (const pid of [child.pid, front]) {
      const text = readFileSync(`/proc/${pid}/cmdline`, "utf8") + readFileSync(`/proc/${pid}/environ`, "utf8");
      expect(text).not.toContain("hunter2");
    }
  });

  it("says once what is wrong with the configuration, and ends with 2", async () => {
    const cwd = configured({ nmae: "x" });
    const { code, stdout, stderr } = await run(process.execPath, [SHIM, "serve"], "", { cwd, env: clean });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^layover: layover\.yaml:1:\d+ nmae: unknown key; did you mean name\?\n$/);
  });

  it("ends with 2 when a door cannot be opened, by either half", async () => {
    for (const door of ["dns", "https", "admin"]) {
      const cwd = configured({ listen: { ...PORTS, [door]: "192.0.2.254:4444" } });
      const { code, stderr } = await run(process.execPath, [SHIM, "serve"], "", { cwd, env: clean });
      expect(code).toBe(2);
      expect(stderr).toContain(`LAYOVER_LISTEN_${door.toUpperCase()}`);
    }
  });

  it("answers by another configuration when a front end that comes back finds one", async () => {
    const cwd = configured();
    const { child, said } = serve(cwd);
    const ready = await said("ready");
    const file = join(cwd, "layover.yaml");
    writeFileSync(file, readFileSync(file, "utf8").replace("127.0.0.3", "127.0.0.5"));
    process.kill(childrenOf(child)[0]!, "SIGKILL");
    await said("the configuration has changed: DNS follows");
    const [dns] = ready["dns"] as string[];
    await expect
      .poll(async () => decode(await askUdp(dns!, question("ghcr.io"))).answers, { timeout: 10_000, interval: 100 })
      .toMatchObject([{ data: "127.0.0.5" }]);
  });

  it("leaves no front end behind when it is killed, even at its start", async () => {
    for (const wait of [0, 50, 150, 400]) {
      const { child } = serve(configured());
      await expect.poll(() => childrenOf(child), { timeout: 10_000 }).toHaveLength(1);
      const [front] = childrenOf(child);
      await new Promise((resolve) => setTimeout(resolve, wait));
      child.kill("SIGKILL");
      await expect.poll(() => isThere(front!), { timeout: 20_000 }).toBe(false);
    }
  }, 60_000);
});
