// `layover demo`: the main job with no internet and no root. A registry, a resolver and clients of the demo's own around the real
// appliance, all on high loopback ports; the table counts what the registry sent and what came from the cache.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import type { Pulled } from "./demo-client.ts";

const HOST = "registry.demo.example";
const LAYER = 32 * 1024 * 1024;
const READY_WITHIN = 15_000;

export const demoCommand = (program: Command): void => {
  program
    .command("demo")
    .description("show the main job: no internet, no root, nothing left behind")
    .action(async () => {
      const folder = await mkdtemp(join(tmpdir(), "layover-demo-"));
      try {
        process.exitCode = (await demo(folder)) ? 0 : 1;
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
};

interface Step {
  readonly what: string;
  readonly pulled: Pulled;
  readonly fromUpstream: number;
  /** Whether it came out as it must. */
  readonly isRight: boolean;
}

const demo = async (folder: string): Promise<boolean> => {
  const { demoRegistry, OWNER, PRIVATE_IMAGE, PUBLIC_IMAGE } = await import("./demo-registry.ts");
  const { demoResolver } = await import("./demo-resolver.ts");
  const { pull } = await import("./demo-client.ts");
  const trust = await publicCa();
  const registry = await demoRegistry(trust.show(HOST), LAYER);
  const resolver = await demoResolver(HOST, "127.0.0.1");
  const ports = await freePorts(3);
  const appliance = await start(folder, { ports, upstream: registry.port, resolver: resolver.port, ca: trust.pem });
  const steps: Step[] = [];
  try {
    const ca = await readFile(join(folder, "certs/ca.crt"), "utf8");
    const client = { dns: `127.0.0.1:${ports[0]}`, port: ports[1]!, ca };
    const step = async (what: string, repo: string, credential: string | undefined, status: number, mayCost: boolean) => {
      const pulled = await pull({ ...client, ...(credential === undefined ? {} : { credential }) }, HOST, repo, "1");
      const fromUpstream = registry.takeSent();
      steps.push({ what, pulled, fromUpstream, isRight: pulled.status === status && (mayCost || fromUpstream === 0) });
    };
    await step("public image, first client (cold)", PUBLIC_IMAGE, undefined, 200, true);
    await step("public image, second client (warm)", PUBLIC_IMAGE, undefined, 200, false);
    await step("private image, its owner (cold)", PRIVATE_IMAGE, OWNER, 200, true);
    await step("private image, its owner (warm)", PRIVATE_IMAGE, OWNER, 200, false);
    await step("private image, a stranger", PRIVATE_IMAGE, undefined, 401, false);
    await registry.stop();
    await resolver.stop();
    await step("registry and resolver stopped: public image", PUBLIC_IMAGE, undefined, 200, false);
    await step("registry and resolver stopped: its owner", PRIVATE_IMAGE, OWNER, 200, false);
    await step("registry and resolver stopped: a stranger", PRIVATE_IMAGE, undefined, 503, false);
  } finally {
    await stop(appliance);
    await registry.stop();
    await resolver.stop();
  }
  print(steps);
  return steps.every(({ isRight }) => isRight);
};

/** The part of the internet's certificate authorities: Layover trusts it for upstreams, the clients never see it. */
const publicCa = async (): Promise<{ pem: string; show(host: string): { cert: string; key: string } }> => {
  const { anchorOf, makeRoot } = await import("../tls/root.ts");
  const { mintLeaf } = await import("../tls/leaf.ts");
  const root = makeRoot({ names: "all", now: Date.now(), hostname: hostname() });
  return {
    pem: anchorOf(root).certificate.toString(),
    show: (host) => {
      const { chain, key } = mintLeaf(root, [host], Date.now());
      return { cert: chain, key: key.export({ type: "pkcs8", format: "pem" }).toString() };
    },
  };
};

interface Surroundings {
  readonly ports: readonly number[];
  readonly upstream: number;
  readonly resolver: number;
  readonly ca: string;
}

/** The real thing, as `npm start` starts it, with only its addresses moved. */
const start = async (folder: string, { ports, upstream, resolver, ca }: Surroundings): Promise<ChildProcess> => {
  const [dns, https, http] = ports.map((port) => `127.0.0.1:${port}`);
  await writeFile(join(folder, "public-ca.pem"), ca);
  const settings = {
    listen: { dns: [dns], https: [https], http: [http], admin: "127.0.0.1:0" },
    resolvers: [`127.0.0.1:${resolver}`],
    trust: "./public-ca.pem",
    log: { level: "info", format: "text" },
    defaults: { freshFor: "1s" },
    sites: { [HOST]: { upstream: `https://${HOST}:${upstream}` } },
  };
  await writeFile(join(folder, "layover.yaml"), JSON.stringify(settings));
  const script = process.argv[1]!;
  const child = spawn(process.execPath, [script, "serve"], { cwd: folder, stdio: ["ignore", "inherit", "inherit"] });
  await ready(`http://${http}/readyz`, child);
  return child;
};

const ready = async (url: string, child: ChildProcess): Promise<void> => {
  const until = performance.now() + READY_WITHIN;
  while (performance.now() < until && child.exitCode === null) {
    const answer = await fetch(url).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer?.status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  child.kill();
  throw new Error("the appliance did not become ready");
};

const stop = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null) return resolve();
    child.once("exit", () => resolve());
    // as from the keyboard: nobody comes any more who holds an answer of before
    child.kill("SIGINT");
  });

const freePorts = async (count: number): Promise<number[]> => {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer();
      return new Promise<typeof server>((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
};

const print = (steps: readonly Step[]): void => {
  const row = (cells: readonly string[]) =>
    console.log(
      `  ${cells[0]!.padEnd(46)}${cells
        .slice(1)
        .map((cell) => cell.padStart(14))
        .join("")}`,
    );
  const size = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  console.log("");
  row(["", "answer", "upstream", "cache", "time", ""]);
  for (const { what, pulled, fromUpstream, isRight } of steps) {
    row([
      what,
      String(pulled.status),
      size(fromUpstream),
      size(Math.max(0, pulled.bytes - fromUpstream)),
      `${pulled.ms} ms`,
      isRight ? "ok" : "WRONG",
    ]);
  }
  console.log("");
};
