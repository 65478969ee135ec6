// A server that runs, and commands that change the CA under it.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { condition } from "../../src/admin/health.ts";
import { memoryBlobs } from "../../src/store/memory.ts";
import { memoryFacts } from "../../src/store/memory-facts.ts";
import { openCa } from "../../src/tls/ca.ts";
import { followCa } from "../../src/tls/follow.ts";
import type { CaOptions } from "../../src/tls/plan.ts";
import { anchorOf } from "../../src/tls/root.ts";
import { retire, rotate } from "../../src/tls/rotate.ts";
import { secureContexts } from "../../src/tls/sni.ts";
import { caOptions, DAY, listen, recorder, scratch, shake } from "./scratch.ts";

const NAMES = ["ghcr.io", "layover"];
const running = async (more: Partial<CaOptions> = {}) => {
  const time = { now: Date.now() };
  const options = caOptions(scratch(), { names: NAMES, clock: () => time.now, ...more });
  const { log, lines } = recorder();
  const ca = followCa(await openCa(options), options, log);
  onTestFinished(ca.close);
  const contexts = secureContexts(ca, {
    allowed: (name) => NAMES.includes(name),
    ownName: "layover",
    clock: () => time.now,
    log,
  });
  const port = await listen(contexts.options, contexts.follow);
  const serial = async (trust: string, servername = "ghcr.io") =>
    (await shake(port, { ca: trust, servername })).certificate.serialNumber;
  return { options, time, ca, lines, serial };
};
const soon = { timeout: 15_000, interval: 50 };

describe("a server that runs", () => {
  it("publishes a new root at once, and shows new leaves when it signs: each once", async () => {
    const { options, time, ca, lines, serial } = await running();
    const old = ca.bundle;
    const first = await serial(old);
    const { root, from } = await rotate(options, DAY);
    const fresh = String(anchorOf(root).certificate);
    await vi.waitUntil(() => ca.bundle === old + fresh, soon);
    expect(ca.fingerprints).toHaveLength(2);
    expect(await serial(old)).toBe(first);
    await expect(serial(fresh)).rejects.toBeDefined();

    time.now = from;
    const second = await serial(fresh);
    expect([second === first, await serial(old + fresh)]).toEqual([false, second]);
    await expect(serial(old)).rejects.toBeDefined();
    expect(await serial(fresh, "layover")).toBeDefined();
    await vi.waitUntil(() => lines.some(({ msg }) => msg === "signing has gone over to another root"), soon);

    time.now += 1_000;
    await retire(options);
    await vi.waitUntil(() => ca.bundle === fresh, soon);
    expect(await serial(fresh)).toBe(second);
    const said = lines.filter(({ level }) => level === 40).map(({ msg }) => msg);
    expect(said).toEqual([
      "a root was published: clients need ca.crt again",
      "signing was planned anew",
      "signing has gone over to another root",
      "a root was taken away",
    ]);
    const minted = lines.filter(({ msg, host }) => msg === "leaf minted" && host === "ghcr.io");
    expect(minted.map(({ root }) => root)).toEqual([
      expect.stringMatching(/^[0-9A-F:]{95}$/),
      anchorOf(root).certificate.fingerprint256,
    ]);
  });

  it("goes on with what it had while the files are not whole", async () => {
    const { options, ca, lines, serial } = await running();
    const { bundle } = ca;
    const key = readFileSync(options.keyFile);
    writeFileSync(options.keyFile, "nonsense");
    await vi.waitUntil(() => lines.some(({ msg }) => String(msg).includes("are not whole")), soon);
    expect(await serial(bundle)).toBeDefined();
    rmSync(options.certificateFile);
    expect(await serial(bundle, "layover")).toBeDefined();
    writeFileSync(options.keyFile, key);
    writeFileSync(options.certificateFile, bundle);
    const { root } = await rotate(options, 0);
    await vi.waitUntil(() => ca.fingerprints.includes(anchorOf(root).certificate.fingerprint256), soon);
    expect(ca.issuerFor("ghcr.io")?.name).toBe(root.name);
    expect(lines.filter(({ msg }) => String(msg).includes("are not whole")).length).toBeLessThanOrEqual(2);
  });

  it("tells of an end that is near, and stops when a rotation is under way", async () => {
    const { options, time, ca, lines } = await running();
    expect(ca.notes()).toEqual([]);
    time.now = ca.notAfter - 10 * DAY;
    expect(ca.notes()).toEqual([expect.stringContaining("layover ca rotate")]);
    await vi.waitUntil(() => lines.some(({ msg }) => String(msg).includes("ends on")), soon);
    await rotate(options, DAY);
    await vi.waitUntil(() => ca.notes().length === 0, soon);
  });

  it("is ill from the root's end on, by a clock that was set too, and well again with one that signs", async () => {
    const { options, time, ca } = await running();
    const present = time.now;
    const well = async () => {
      const parts = {
        blobs: memoryBlobs(),
        facts: memoryFacts(),
        isFull: () => false,
        isDraining: () => false,
        bypass: async () => undefined,
      };
      return condition({ ...parts, canSign: ca.canSign, more: ca.notes });
    };
    expect(await well()).toMatchObject({ ready: true, notes: [] });
    for (const at of [ca.notAfter, present - 2 * DAY]) {
      time.now = at;
      expect(await well()).toMatchObject({
        ready: false,
        reason: "ill",
        notes: [expect.stringContaining("can sign for ghcr.io")],
      });
    }
    time.now = ca.notAfter;
    await rotate(options, 0);
    await vi.waitUntil(async () => (await well()).ready, soon);
  });
});
