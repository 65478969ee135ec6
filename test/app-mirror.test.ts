// The managed mirror of a whole front end, asked over its admin listener, with the fault upstream as the registry that it mirrors.
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Progress } from "../src/admin/answers.ts";
import type { Operations } from "../src/admin/operations.ts";
import { remoteOperations } from "../src/admin/remote.ts";
import { tokenOf, urlOf } from "./admin/asking.ts";
import { hold, status } from "./faults/behaviours.ts";
import { type FaultUpstream, faultUpstream } from "./faults/upstream.ts";
import { Front, HOST } from "./front.ts";
import { quiet } from "./suites/operations.ts";

const APP = { name: "app", source: `${HOST}/acme/app` };
const BASE = { name: "base", source: `${HOST}/acme/base` };

interface Served {
  readonly front: Front;
  readonly upstream: FaultUpstream;
  readonly operations: Operations;
}

const asked = (front: Front): Operations => remoteOperations({ url: new URL(urlOf(front)), token: tokenOf(front) });

const serve = async (mirror: unknown, files: Record<string, string> = {}): Promise<Served> => {
  const upstream = await faultUpstream();
  const front = new Front(upstream.url.origin, {});
  await front.start({ more: { mirror }, files });
  return { front, upstream, operations: asked(front) };
};

/** Blobs are answered when it is opened. */
const holdBlobs = (upstream: FaultUpstream) => {
  const { promise, resolve: open } = Promise.withResolvers<void>();
  const before = upstream.count(/\/blobs\//);
  upstream.fault(/\/blobs\//, hold(promise));
  return { open, reached: () => until(async () => upstream.count(/\/blobs\//) > before) };
};

const until = async (isSo: () => Promise<boolean>, ms = 15_000): Promise<void> => {
  for (const end = Date.now() + ms; !(await isSo()); ) {
    if (Date.now() > end) throw new Error("it did not come to that");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

const digestAt = async (front: Front, tag = "v1", repo = "acme/app") =>
  (await front.ask(`/v2/${repo}/manifests/${tag}`)).headers["docker-content-digest"];

describe("the mirror of a server", () => {
  it("checks, syncs, and says how it stands", async () => {
    const { upstream, operations } = await serve([APP, { ...BASE, schedule: "0 3 * * *", timezone: "Europe/Berlin" }]);
    const image = upstream.content.seed({ repo: "acme/app", tag: "v1" });
    upstream.content.seed({ repo: "acme/base", tag: "v1" });
    const told: Progress[] = [];
    const call = { ...quiet, progress: (progress: Progress) => told.push(progress) };
    const checked = await operations.mirrorCheck({}, call);
    expect(checked.entries.map(({ entry, tags }) => [entry, ...tags.map(({ change }) => change)])).toEqual([
      ["app", "missing"],
      ["base", "missing"],
    ]);
    const synced = await operations.mirrorSync({ entries: ["app"], run: "4711" }, call);
    expect(synced.entries).toMatchObject([
      { entry: "app", run: "4711", joined: false, state: "ended", report: { run: "4711", isGood: true } },
    ]);
    expect(synced.entries[0]!.report!.tags).toMatchObject([{ outcome: "done", upstream: image.top.digest }]);
    expect(told.length).toBeGreaterThan(0);
    expect(told[0]).toMatchObject({ unit: "images", parts: expect.any(Array) });
    const now = await operations.mirrorStatus({}, quiet);
    expect(now.entries).toMatchObject([
      { entry: "app", overdue: false, last: { good: true, run: "4711", counts: { done: 1 } }, lastGoodAt: expect.any(String) },
      { entry: "base", schedule: "0 3 * * * (Europe/Berlin)", nextAt: expect.stringContaining("T0"), overdue: false },
    ]);
    expect(now.held).toEqual([]);
    expect(now).not.toHaveProperty("list");
  });

  it("takes an image that an entry mirrors for that image alone", async () => {
    const { upstream, operations } = await serve([APP, BASE]);
    for (const tag of ["v1", "v2"]) upstream.content.seed({ repo: "acme/app", tag });
    const { entries } = await operations.mirrorSync({ entries: [`${HOST}/acme/app:v2`] }, quiet);
    expect(entries.map(({ report }) => report!.tags.map(({ source, outcome }) => `${source.tag} ${outcome}`))).toEqual([
      ["v2 done"],
    ]);
    expect((await operations.mirrorStatus({}, quiet)).entries[0]).not.toHaveProperty("last");
    expect(
      (await operations.mirrorCheck({ entries: ["app"] }, quiet)).entries[0]!.tags.map(({ change }) => change).toSorted(),
    ).toEqual(["missing", "same"]);
    for (const name of ["nothing", `${HOST}/acme/other:1`, "registry.invalid/a/b:1"])
      await expect(operations.mirrorSync({ entries: [name] }, quiet)).rejects.toMatchObject({
        code: "INVALID",
        message: expect.stringContaining('"app", "base"'),
      });
  });

  it("says that nothing is mirrored", async () => {
    const { operations } = await serve([]);
    await expect(operations.mirrorCheck({}, quiet)).rejects.toMatchObject({ code: "INVALID" });
    expect(await operations.mirrorStatus({}, quiet)).toEqual({ entries: [], held: [] });
  });

  it("ends a sync when nobody waits for it, and goes on for who does; the next one takes up what has come", async () => {
    const { upstream, operations } = await serve([APP]);
    upstream.content.seed({ repo: "acme/app", tag: "v1", layers: [1_000, 400_000] });
    const held = holdBlobs(upstream);
    const leave = new AbortController();
    const left = operations.mirrorSync({}, { ...quiet, signal: leave.signal });
    left.catch(() => undefined);
    await held.reached();
    const stays = operations.mirrorSync({}, quiet);
    await until(async () => (await operations.mirrorStatus({}, quiet)).entries[0]!.going !== undefined);
    await new Promise((resolve) => setTimeout(resolve, 200));
    leave.abort(new Error("gone"));
    await expect(left).rejects.toThrow("gone");
    await new Promise((resolve) => setTimeout(resolve, 200));
    held.open();
    expect((await stays).entries).toMatchObject([{ joined: true, state: "ended", report: { isGood: true } }]);

    upstream.content.seed({ repo: "acme/app", tag: "v1", layers: [1_000, 300_000] });
    const again = holdBlobs(upstream);
    const alone = new AbortController();
    const lone = operations.mirrorSync({}, { ...quiet, signal: alone.signal });
    lone.catch(() => undefined);
    await again.reached();
    alone.abort(new Error("gone"));
    await until(async () => (await operations.mirrorStatus({}, quiet)).entries[0]!.going === undefined);
    again.open();
    expect((await operations.mirrorSync({}, quiet)).entries[0]!.report!.tags).toMatchObject([
      { change: "moved", outcome: "done" },
    ]);
  });

  it("only begins one, or waits for so long and lets it go on", async () => {
    const { front, upstream, operations } = await serve([APP]);
    const image = upstream.content.seed({ repo: "acme/app", tag: "v1", layers: [100_000] });
    const held = holdBlobs(upstream);
    const begun = await operations.mirrorSync({ waitMs: 0 }, quiet);
    expect(begun.entries).toMatchObject([{ entry: "app", state: "going", joined: false }]);
    await held.reached();
    const waited = await operations.mirrorSync({ waitMs: 100 }, quiet);
    expect(waited.entries).toMatchObject([{ state: "going", joined: true, run: begun.entries[0]!.run }]);
    expect((await operations.status({}, quiet)).work).toMatchObject([{ operation: "mirror sync app" }]);
    held.open();
    await until(async () => (await operations.mirrorStatus({}, quiet)).entries[0]!.last?.good === true);
    upstream.freeze();
    expect(await digestAt(front)).toBe(image.top.digest);
  });

  it("leaves nothing half done visible when it ends in the middle of a sync, and goes on after a start", async () => {
    const { front, upstream, operations } = await serve([APP]);
    const old = upstream.content.seed({ repo: "acme/app", tag: "v1" });
    await operations.mirrorSync({}, quiet);
    const young = upstream.content.seed({ repo: "acme/app", tag: "v1", layers: [200_000, 1_000] });
    const held = holdBlobs(upstream);
    await operations.mirrorSync({ waitMs: 0 }, quiet);
    await held.reached();
    const began = Date.now();
    await front.stop();
    expect(Date.now() - began).toBeLessThan(5_000);
    held.open();
    await front.start({ more: { mirror: [APP] } });
    const restarted = asked(front);
    expect((await restarted.show({ reference: `${HOST}/acme/app:v1` }, quiet)).digest).toBe(old.top.digest);
    expect((await restarted.mirrorStatus({}, quiet)).entries[0]!.last).toMatchObject({ counts: { done: 1 } });
    await restarted.mirrorSync({}, quiet);
    expect((await restarted.show({ reference: `${HOST}/acme/app:v1` }, quiet)).digest).toBe(young.top.digest);
  });

  it("is restored by a sync when the data folder is lost, and what was only cached comes with the next pull", async () => {
    const { front, upstream, operations } = await serve([APP]);
    const image = upstream.content.seed({ repo: "acme/app", tag: "v1" });
    const cached = upstream.content.seed({ repo: "acme/other", tag: "v1" });
    await operations.mirrorSync({}, quiet);
    await front.stop();
    rmSync(join(front.folder, "data"), { recursive: true });
    await front.start({ more: { mirror: [APP] } });
    const { entries } = await asked(front).mirrorSync({}, quiet);
    expect(entries[0]!.report!.tags).toMatchObject([{ change: "missing", outcome: "done" }]);
    expect(await digestAt(front, "v1", "acme/other")).toBe(cached.top.digest);
    upstream.content.seed({ repo: "acme/app", tag: "v1" });
    expect(await digestAt(front)).toBe(image.top.digest);
  });

  it("tells of what fails, and comes with the rest", async () => {
    const { upstream, operations } = await serve([APP, BASE]);
    upstream.content.seed({ repo: "acme/app", tag: "v1" });
    upstream.content.seed({ repo: "acme/base", tag: "v1" });
    upstream.fault(/acme\/app\/blobs\//, status(500));
    const { entries } = await operations.mirrorSync({}, quiet);
    expect(entries.map(({ report }) => report!.isGood)).toEqual([false, true]);
    expect((await operations.mirrorStatus({}, quiet)).entries).toMatchObject([
      { last: { good: false, failures: [{ reference: expect.stringContaining("acme/app:v1") }] } },
      { last: { good: true } },
    ]);
  });
});

describe("the list of the mirror", () => {
  it("puts right with the next sync what an import has moved", async () => {
    const { upstream, operations, front } = await serve([APP]);
    const [one, two] = ["v1", "v2"].map((tag) => upstream.content.seed({ repo: "acme/app", tag }).top.digest);
    await operations.mirrorSync({}, quiet);
    const moved = await operations.importTag({ reference: `${HOST}/acme/app:v1`, digest: two! }, quiet);
    expect(moved).toMatchObject({ outcome: "moved", before: one });
    expect(await digestAt(front)).toBe(two);
    await operations.mirrorSync({}, quiet);
    expect(await digestAt(front)).toBe(one);
  });

  it("that is late, or wrong, is named to nobody but who has the token", async () => {
    const { front, operations } = await serve("./mirror.json", {
      "mirror.json": JSON.stringify([{ source: `${HOST}/secret/app`, tags: ["v1"], warnAfter: "1s" }]),
    });
    const notes = async () => (await operations.status({}, quiet)).notes.join("\n");
    await until(async () => (await notes()).includes("secret/app"));
    writeFileSync(join(front.folder, "mirror.json"), "[");
    await until(async () => (await notes()).includes("mirror.json"));
    for (const path of ["/readyz", "/"]) {
      const { body } = await front.page(path);
      expect(body.toString()).toMatch(/list is not right.*1 without a good sync for too long/s);
      expect(body.toString()).not.toMatch(/secret|mirror\.json/);
    }
  });

  it("is followed, and a wrong one changes nothing but what is told of it", async () => {
    const yaml = (...names: string[]) => names.map((name) => `- { name: ${name}, source: ${HOST}/acme/${name} }\n`).join("");
    const { front, operations } = await serve("./mirror.yaml", { "mirror.yaml": yaml("app") });
    const file = join(front.folder, "mirror.yaml");
    const names = async () => (await operations.mirrorStatus({}, quiet)).entries.map(({ entry }) => entry);
    const problem = async () => (await operations.mirrorStatus({}, quiet)).list?.problem;
    expect(await names()).toEqual(["app"]);
    writeFileSync(file, yaml("app", "base"));
    await until(async () => (await names()).length === 2);
    for (const wrong of ["", "- { sauce: nothing }\n"]) {
      writeFileSync(file, wrong);
      await until(async () => (await problem())?.includes(wrong === "" ? "is empty" : "sauce") === true);
    }
    expect(await names()).toEqual(["app", "base"]);
    expect((await operations.status({}, quiet)).notes).toEqual([expect.stringContaining("mirror.yaml is not right")]);
    expect((await front.running.condition()).ready).toBe(true);
    writeFileSync(file, yaml("base"));
    await until(async () => (await problem()) === undefined);
    expect(await names()).toEqual(["base"]);
    expect((await operations.status({}, quiet)).notes).toEqual([]);
    renameSync(file, `${file}.away`);
    await until(async () => (await problem()) === "there is no such file");
    expect(await names()).toEqual(["base"]);
    renameSync(`${file}.away`, file);
    await until(async () => (await problem()) === undefined);
  }, 40_000);
});
