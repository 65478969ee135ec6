// `layover serve` as a process that is told to stop before it has started.
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { asking } from "../../src/cli/doctor-ask.ts";
import { freePort } from "../front.ts";
import { emptyFolder } from "./command.ts";

const SCRIPT = join(import.meta.dirname, "../../scripts/layover.mjs");
const FRONT = join(import.meta.dirname, "../../src/cli/front.ts");
/** Less than a second instance waits for the first one's store. */
const SOON = 10_000;

interface Instance {
  readonly child: ChildProcess;
  readonly http: string;
  readonly dns: number;
}

const serve = async (folder: string): Promise<Instance> => {
  const [dns, https, http] = [await freePort(), await freePort(), await freePort()];
  const env = {
    ...process.env,
    LAYOVER_LISTEN_DNS: `127.0.0.1:${dns}`,
    LAYOVER_LISTEN_HTTPS: `127.0.0.1:${https}`,
    LAYOVER_LISTEN_HTTP: `127.0.0.1:${http}`,
    LAYOVER_LISTEN_ADMIN: "[]",
  };
  const child = spawn(process.execPath, [SCRIPT, "serve"], { cwd: folder, env, stdio: "ignore" });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGTERM");
    await once(child, "exit");
  });
  return { child, http: `http://127.0.0.1:${http}`, dns };
};

const eventually = async (what: string, probe: () => Promise<boolean>): Promise<void> => {
  for (const deadline = Date.now() + SOON; Date.now() < deadline; await sleep(50)) {
    if (await probe().catch(() => false)) return;
  }
  throw new Error(`in vain: ${what}`);
};

it("ends at once and well by a signal that comes while it starts", async () => {
  const folder = emptyFolder();
  const first = await serve(folder);
  await eventually("the first to be ready", async () => (await fetch(`${first.http}/readyz`)).ok);
  const second = await serve(folder); // it waits for the store, which the first one holds
  const server = { host: "127.0.0.1", port: second.dns };
  const question = { server, name: "_dns.resolver.arpa", type: "A", transport: "udp" } as const;
  await eventually("the second's DNS to answer", async () => (await asking(1_000)(question)).rcode === 0);
  const began = Date.now();
  const exit = once(second.child, "exit");
  second.child.kill("SIGTERM");
  expect(await exit).toEqual([0, null]);
  expect(Date.now() - began).toBeLessThan(SOON);
  expect((await fetch(`${first.http}/readyz`)).status).toBe(200);
});

it("ends in peace although who ends it tells both of its processes, and the parent its child once more", async () => {
  const env = { ...process.env, LAYOVER_LISTEN: JSON.stringify({ dns: [], https: [], http: "127.0.0.1:0", admin: [] }) };
  const front = fork(FRONT, { cwd: emptyFolder(), env, stdio: "ignore" });
  onTestFinished(() => void front.kill("SIGKILL"));
  const ready = new Promise<readonly string[]>((resolve) =>
    front.on(
      "message",
      (told: { kind: string; addresses: readonly string[] }) => told.kind === "ready" && resolve(told.addresses),
    ),
  );
  const [host, port] = (await ready)[0]!.split(":") as [string, string];
  // one that says nothing is looked for after a while: the end takes longer than the second signal does
  await once(
    connect(Number(port), host).on("error", () => undefined),
    "connect",
  );
  front.kill("SIGTERM");
  await sleep(40);
  front.kill("SIGTERM");
  expect(await once(front, "exit")).toEqual([0, null]);
});
