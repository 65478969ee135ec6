// A rotation under load: while the CA is rotated, extended by another process and switched, no client fails that has the ca.crt of the time, and
// none with the old one until the switch.
import { copyFile } from "node:fs/promises";
import { Agent, get } from "node:https";
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import { openCa, readCa } from "../../src/tls/ca.ts";
import { byCurl, byNode, byOpenssl, hammer } from "./handshakes.ts";
import { Image } from "./image.ts";
import { ADDRESS } from "./layover.ts";
import { outcome } from "./part.ts";
import { until } from "./until.ts";
import { GUARDED, OPEN, World } from "./world.ts";

/** Of the switch itself: longer than a server takes to notice that it is planned. */
const OVERLAP_S = 6;
let world: World;
beforeAll(async () => {
  world = await World.start();
  await world.layover.start();
});
afterAll(() => world?.stop());

interface Shown {
  readonly fingerprint: string;
  readonly standing: string;
  readonly from?: string;
}
const shown = async (): Promise<Shown[]> => {
  const { out } = await world.layover.command("ca", "show", "--json");
  return (JSON.parse(out) as { roots: Shown[] }).roots;
};

/** One connection that is kept: whether it answers, and is still the same. */
const kept = (trust: string) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: trust, servername: OPEN });
  const ports = new Set<number | undefined>();
  const ask = (): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const asked = get({ host: ADDRESS, agent, path: "/v2/", headers: { host: OPEN } }, (answer) => {
        ports.add(answer.socket.localPort);
        answer.resume().on("end", () => resolve(answer.statusCode));
      });
      asked.on("error", reject).setTimeout(10_000, () => asked.destroy(new Error("silent")));
    });
  return { ask, ports, close: () => agent.destroy() };
};

test("nobody fails who has the file of the time", { timeout: 90_000 }, async () => {
  onTestFailed(() => world.explain());
  const image = await Image.make(256 * 1024);
  await world.open.put(image, "acme/rotated", "v1");
  const name = `${OPEN}/acme/rotated:v1`;
  const { certificate } = world.layover;
  const old = `${world.dir}/old.pem`;
  await copyFile(certificate, old);
  const behind = await world.engine("classic");
  const pull = async (engine = behind): Promise<string> => {
    const pulled = outcome(await engine.pull(name));
    await engine.docker(["image", "rm", name]);
    return pulled;
  };
  expect(await pull()).toBe("success");

  const present = [
    byNode(OPEN, certificate),
    byNode(GUARDED, certificate),
    byCurl(OPEN, certificate),
    byOpenssl(GUARDED, certificate),
  ];
  const upToDate = present.map((attempt) => hammer(attempt, 1));
  const outOfDate = [byNode(OPEN, old), byOpenssl(GUARDED, old)].map((attempt) => hammer(attempt, 1));
  const caOfTheTime = {
    certificateFile: certificate,
    keyFile: `${world.dir}/layover/keys/ca.key`,
    names: [OPEN, "images.example"],
    constraints: [],
    clock: Date.now,
    hostname: "box",
  };
  const connection = kept(readCa({ ...caOfTheTime, names: [OPEN] }).bundle);
  expect(await connection.ask()).toBe(200);

  const [rotated, extended] = await Promise.all([world.layover.command("ca", "rotate"), openCa(caOfTheTime)]);
  expect([outcome(rotated), extended.origin]).toEqual(["success", "extended"]);
  expect((await shown()).map(({ standing }) => standing).toSorted()).toEqual(["coming", "going", "signs"]);
  expect(await pull()).toBe("success");
  const upToDateEngine = await world.engine("classic"); // its certs.d has the new file
  expect(await pull(upToDateEngine)).toBe("success");
  const coming = (await shown()).find(({ standing }) => standing === "coming")!.fingerprint;
  const planned = await world.layover.command("ca", "rotate", "--to", coming, "--overlap", `${OVERLAP_S}s`);
  expect(outcome(planned)).toBe("success");
  const from = Date.parse((await shown()).find(({ fingerprint }) => fingerprint === coming)?.from ?? "");

  await until("the switch", 30_000, () => Date.now() > from + 1_500);
  expect(await pull(upToDateEngine)).toBe("success");
  expect(await pull()).toMatch(/x509|certificate/);
  expect(await connection.ask()).toBe(200);
  expect(connection.ports.size).toBe(1);
  connection.close();

  for (const each of upToDate) {
    const tries = await each.stop();
    expect(tries.filter(({ reason }) => reason !== undefined)).toEqual([]);
    expect(tries.length).toBeGreaterThan(20);
    expect(tries.filter(({ began }) => began > from).length).toBeGreaterThan(3);
  }
  for (const each of outOfDate) {
    const tries = await each.stop();
    expect(tries.filter(({ reason, ended }) => reason !== undefined && ended < from)).toEqual([]);
    expect(tries.filter(({ reason, began }) => reason === undefined && began > from)).toEqual([]);
    expect(tries.filter(({ began }) => began > from).length).toBeGreaterThan(3);
  }
  expect((await openCa(caOfTheTime)).origin).toBe("found");
  expect((await shown()).map(({ standing }) => standing).toSorted()).toEqual(["going", "going", "signs"]);
});
