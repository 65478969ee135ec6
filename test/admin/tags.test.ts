// What holding a tag leaves in the log, and what moves it once it is let go.
import fc from "fast-check";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { AdminError } from "../../src/admin/error.ts";
import { hold, release } from "../../src/admin/tags-hold.ts";
import { loadConfig } from "../../src/config/load.ts";
import { NOTHING_MIRRORED } from "../../src/mirrors.ts";
import { digestOf } from "../../src/oci/digest.ts";
import type { Repository, Tag } from "../../src/oci/reference.ts";
import { siteTable } from "../../src/sites.ts";
import { memoryBlobs } from "../../src/store/memory.ts";
import { memoryFacts } from "../../src/store/memory-facts.ts";
import { emptyFolder } from "../cli/command.ts";
import { entryOf } from "../mirror/entries.ts";

const HOST = "registry.test";
const REPO = "acme/app" as Repository;
const TAG = "v1" as Tag;
const NAME = `${HOST}/${REPO}:${TAG}`;
const TYPE = "application/vnd.oci.image.manifest.v1+json";
const MANIFESTS = ["one", "two"].map((name) => Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: TYPE, name })));
const [ONE, TWO] = MANIFESTS.map((bytes) => digestOf(bytes)) as [ReturnType<typeof digestOf>, ReturnType<typeof digestOf>];

const world = async (settings: object = {}) => {
  const env = { LAYOVER_SITES: JSON.stringify({ [HOST]: settings }) };
  const { sites } = await loadConfig({ file: undefined, env, cwd: emptyFolder() });
  const [facts, blobs] = [memoryFacts(), memoryBlobs()];
  for (const bytes of MANIFESTS) {
    const stage = await blobs.stage(bytes.length);
    await stage.append(bytes);
    await stage.verify(digestOf(bytes));
    await stage.commit();
    await facts.addLink({ site: HOST, repo: REPO, digest: digestOf(bytes) }, { mediaType: TYPE });
  }
  const key = { site: HOST, repo: REPO, tag: TAG };
  for (const [at, digest] of [ONE, TWO].entries()) await facts.moveTag(key, { digest, at, reason: "pull" }, 0);
  const lines: Record<string, unknown>[] = [];
  const log = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
  return { parts: { sites: siteTable(sites), facts, blobs, log, clock: () => 5, mirrored: NOTHING_MIRRORED }, lines, key };
};

describe("a tag that is held", () => {
  it("is in the log, with where from and where to, and so is its end", async () => {
    const { parts, lines } = await world();
    await hold(parts, "rollback", { reference: NAME });
    await hold(parts, "pin", { reference: NAME });
    await release(parts, NAME);
    await release(parts, NAME);
    expect(lines.map(({ level: _level, time: _time, ...line }) => line)).toEqual([
      { site: HOST, repo: REPO, tag: TAG, from: TWO, to: ONE, kind: "rollback", missing: 0, msg: "a tag is held by a rollback" },
      { site: HOST, repo: REPO, tag: TAG, from: ONE, to: ONE, kind: "pin", missing: 0, msg: "a tag is held by a pin" },
      { site: HOST, repo: REPO, tag: TAG, digest: ONE, kind: "pin", msg: "a tag is held no more" },
    ]);
  });

  it.each([
    ["upstream", {}, "upstream is asked"],
    ["nothing", { offline: true }, "its site is offline"],
    ["nothing", { rules: [{ match: "**:v*", pin: true }] }, "a rule of its site pins it"],
    ["push", { kind: "local", access: "anonymous" }, "until somebody pushes"],
  ])("is moved by %s once it is let go, where its site is %j", async (movedBy, settings, next) => {
    const { parts } = await world(settings);
    expect(await release(parts, NAME)).toMatchObject({ movedBy, next: expect.stringContaining(next) });
  });

  it("is moved by the next sync where that is what moves it", async () => {
    const { parts } = await world();
    const mirrored = { version: 1, covers: () => entryOf("acme apps") };
    expect(await release({ ...parts, mirrored }, NAME)).toMatchObject({
      movedBy: "sync",
      next: expect.stringContaining("sync of acme apps"),
    });
  });

  it("is moved nowhere by what names no state, whatever that is", async () => {
    const { parts, key } = await world();
    const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(..."0123456789abcdef:#sha256.-".split("")) }));
    await fc.assert(
      fc.asyncProperty(text, async (to) => {
        const error = await hold(parts, "rollback", { reference: NAME, to }).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        if (error !== undefined) expect(error).toBeInstanceOf(AdminError);
        const { digest } = (await parts.facts.tag(key))!;
        expect([ONE, TWO]).toContain(digest);
      }),
    );
  });

  it("goes on a hosted site to what is hosted there, not to what was once mirrored under its name", async () => {
    const { parts, key } = await world({ kind: "local", access: "anonymous" });
    await expect(hold(parts, "rollback", { reference: NAME })).rejects.toMatchObject({ code: "NOT_HELD" });
    expect(await parts.facts.hosting.host({ site: HOST, repo: REPO, digest: ONE }, { mediaType: TYPE, at: 1 })).toEqual([ONE]);
    await parts.facts.holdings.hold({ digest: ONE, size: 1, at: 1, parts: [] });
    expect(await parts.facts.hosting.host({ site: HOST, repo: REPO, digest: ONE }, { mediaType: TYPE, at: 1 })).toEqual([]);
    expect(await hold(parts, "rollback", { reference: NAME })).toMatchObject({ from: TWO, to: ONE });
    expect(await parts.facts.tag(key)).toMatchObject({ digest: ONE, hold: { kind: "rollback", since: 5 } });
  });
});
