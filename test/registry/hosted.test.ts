// What is hosted over real stores: nothing of it goes for want of room, for its age, or for what is done to mirrors; a full store
// refuses, and leaves nothing half; what was answered survives the end of the process.
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import fc from "fast-check";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import { isOciError } from "../../src/oci/error.ts";
import { ownContext } from "../../src/oci/own-context.ts";
import type { Reference, Repository, Tag } from "../../src/oci/reference.ts";
import { hosted } from "../../src/registry/hosted.ts";
import { localRegistry } from "../../src/registry/local.ts";
import { policyOf } from "../../src/registry/policy.ts";
import { receiving } from "../../src/registry/receive.ts";
import { LIMITS, STRANGERS, type UploadLimits, Uploads } from "../../src/registry/uploads.ts";
import { collect } from "../../src/store/collect.ts";
import { forget } from "../../src/store/forget.ts";
import { verifyBlobs } from "../../src/store/verify.ts";
import { body, holds, type Keeping, keeping, put } from "../store/keeping.ts";
import { POLICY } from "./stack.ts";

const SITE = { host: "images.example" };
const MIRROR = "mirror.example";
const APP = "acme/app" as Repository;
const TYPE = "application/vnd.oci.image.manifest.v1+json";
const HOUR = 60 * 60_000;
const DAY = 24 * HOUR;
const ctx = ownContext("test", new AbortController().signal);
const nobody = () => undefined;
const never = () => new AbortController().signal;

const registryOver = (kept: Keeping, limits: UploadLimits = LIMITS) => {
  const policy = policyOf({
    policy: POLICY,
    rules: [],
    allow: [],
    offline: false,
    host: "registry.example",
    kind: "local",
    onMissing: "cache",
  });
  const uploads = new Uploads(kept.blobs, kept.clock, limits);
  const parts = { site: SITE, ...kept, policy, uploads, subjectOf: () => "" };
  return { uploads, writes: hosted(parts), reads: localRegistry(parts) };
};
type Writes = ReturnType<typeof registryOver>["writes"];

const codeOf = (error: unknown): string => (isOciError(error) ? error.code : String(error));
const refusal = (work: Promise<unknown>): Promise<string> => work.then(() => "done", codeOf);

const pushBlob = async (writes: Writes, bytes: Buffer, repo = APP): Promise<Digest> => {
  const digest = digestOf(bytes);
  const { id } = await writes.openUpload({ repo }, ctx);
  await writes.finishUpload({ repo, id, digest, body: Readable.from([bytes]), length: bytes.length }, ctx);
  return digest;
};

const pushImage = async (writes: Writes, tag: string, layers: readonly Buffer[], repo = APP): Promise<Digest[]> => {
  const digests: Digest[] = [];
  for (const layer of layers) digests.push(await pushBlob(writes, layer, repo));
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, tag, layers: digests.map((digest) => ({ digest })) }));
  const manifest = { repo, reference: tag as Reference, tags: [], mediaType: TYPE, body: Readable.from([bytes]) };
  return [(await writes.putManifest(manifest, ctx)).digest, ...digests];
};

const all = async (kept: Keeping, digests: readonly Digest[]) => Promise.all(digests.map((digest) => holds(kept.blobs, digest)));
const everything = (digests: readonly Digest[]) => digests.map(() => true);
const tidy = (kept: Keeping) => collect(kept, { listingsFor: 0, grantsFor: 0 }, nobody, never());

describe("what is hosted stays", () => {
  it("for want of room, for its age, and where a mirror of the same lets go of it", async () => {
    const kept = await keeping({ maxSize: 400_000 });
    const { writes } = registryOver(kept);
    const shared = body(90_000, 1);
    const image = await pushImage(writes, "v1", [shared, body(90_000, 2)]);
    // a mirror has the same layer, and one of its own
    const mirrored = await put(kept.blobs, body(80_000, 3));
    for (const digest of [image[1]!, mirrored])
      await kept.facts.addLink({ site: MIRROR, repo: APP, digest }, { mediaType: undefined });
    kept.pass(100 * DAY);
    await kept.sweep.expire(DAY);
    expect(await holds(kept.blobs, mirrored)).toBe(false);
    expect(await all(kept, image)).toEqual(everything(image));
    for (let seed = 10; seed < 20; seed += 1) await put(kept.blobs, body(80_000, seed));
    expect(await all(kept, image)).toEqual(everything(image));
    await forget(kept, { site: MIRROR, repo: APP }, nobody, never());
    await tidy(kept);
    expect(await all(kept, image)).toEqual(everything(image));
  });

  it("until it is deleted, and may go then", async () => {
    const kept = await keeping();
    const { writes } = registryOver(kept);
    const [top, ...layers] = await pushImage(writes, "v1", [body(1_000, 1), body(1_000, 2)]);
    const [other] = await pushImage(writes, "v2", [body(1_000, 1)]);
    kept.pass(2 * DAY);
    await tidy(kept);
    expect(await all(kept, [top!, other!, ...layers])).toEqual([true, true, true, true]);
    await writes.deleteManifest({ repo: APP, digest: top! }, ctx);
    // what was looked at above counts as a use
    await tidy(kept);
    expect(await all(kept, [top!, ...layers])).toEqual([false, true, true]);
    kept.pass(2 * DAY);
    await tidy(kept);
    expect(await all(kept, [other!, ...layers])).toEqual([true, true, false]);
    const key = { site: SITE.host, repo: APP, tag: "v1" as Tag };
    expect((await kept.facts.tagHistory(key, 9)).map(({ digest, reason }) => [digest, reason])).toEqual([
      [undefined, "delete"],
      [top, "push"],
    ]);
  });

  it("under no tag once it is deleted, however many it has had there and elsewhere", async () => {
    const kept = await keeping();
    const { writes, reads } = registryOver(kept);
    const [top] = await pushImage(writes, "v1", [body(1_000, 1)]);
    const move = { digest: top, at: 1, reason: "pull" } as const;
    for (let n = 0; n < 1_000; n += 1) await kept.facts.moveTag({ site: "a.example", repo: APP, tag: `t${n}` as Tag }, move, 0);
    await writes.deleteManifest({ repo: APP, digest: top! }, ctx);
    await pushBlob(writes, body(1_000, 1));
    await pushImage(writes, "v2", [body(1_000, 1)]);
    expect((await kept.facts.tag({ site: SITE.host, repo: APP, tag: "v1" as Tag }))?.digest).toBeUndefined();
    expect(await refusal(reads.getManifest({ repo: APP, reference: "v1" as Reference }, ctx))).toBe("MANIFEST_UNKNOWN");
  });

  it("between its last byte and its name, where a mirror has had the same for long", async () => {
    const kept = await keeping();
    const { writes } = registryOver(kept);
    const bytes = body(1_000, 1);
    const host = kept.facts.hosting.host.bind(kept.facts.hosting);
    vi.spyOn(kept.facts.hosting, "host").mockImplementation(async (...args) => {
      await kept.sweep.expire(HOUR);
      return host(...args);
    });
    await put(kept.blobs, bytes);
    kept.pass(DAY);
    expect(await refusal(pushBlob(writes, bytes))).toBe("done");
  });

  it("for hours where no manifest names it yet", async () => {
    const kept = await keeping();
    const { writes } = registryOver(kept);
    const digest = await pushBlob(writes, body(1_000, 1));
    kept.pass(5 * HOUR);
    expect((await tidy(kept)).links).toBe(0);
    kept.pass(2 * HOUR);
    expect(await tidy(kept)).toMatchObject({ links: 1, blobs: { count: 1 } });
    expect(await holds(kept.blobs, digest)).toBe(false);
  });

  it("apart, when the disk has spoilt it, and is healed by the next push", async () => {
    const kept = await keeping();
    const { writes, reads } = registryOver(kept);
    const bytes = body(100_000, 1);
    const [, layer] = await pushImage(writes, "v1", [bytes]);
    writeFileSync(kept.fileOf(layer!), body(100_000, 2));
    expect((await verifyBlobs(kept, nobody, never())).spoiltCount).toBe(1);
    expect(readdirSync(join(kept.folder, "salvage"))).toHaveLength(1);
    kept.pass(100 * DAY);
    await tidy(kept);
    expect(readdirSync(join(kept.folder, "salvage"))).toHaveLength(1);
    expect(await refusal(reads.statBlob({ repo: APP, digest: layer! }, ctx))).toBe("BLOB_UNKNOWN");
    await pushBlob(writes, bytes);
    expect((await reads.statBlob({ repo: APP, digest: layer! }, ctx)).descriptor.size).toBe(100_000);
  });

  it("while it cannot be looked at just now, which says nothing of its bytes", async () => {
    const kept = await keeping();
    const image = await pushImage(registryOver(kept).writes, "v1", [body(100_000, 1)]);
    vi.spyOn(kept.disk, "read").mockRejectedValueOnce(Object.assign(new Error("too many open files"), { code: "EMFILE" }));
    await expect(verifyBlobs(kept, nobody, never())).rejects.toThrow("too many open files");
    expect(await all(kept, image)).toEqual(everything(image));
    expect((await verifyBlobs(kept, nobody, never())).spoiltCount).toBe(0);
  });

  it("where nobody knows what a manifest beside it names", async () => {
    const kept = await keeping();
    const { writes } = registryOver(kept);
    const hold = kept.facts.holdings.hold.bind(kept.facts.holdings);
    // the facts take no manifest for a moment; what it is has been known as a blob before
    vi.spyOn(kept.facts.holdings, "hold").mockImplementation(async ({ parts, ...holding }) => {
      if (parts !== undefined) throw new Error("the disk is full");
      return hold(holding);
    });
    const layer = await pushBlob(writes, body(1_000, 1));
    const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, layers: [{ digest: layer }] }));
    await pushBlob(writes, manifest);
    const put = { repo: APP, reference: "v1" as Reference, tags: [], mediaType: TYPE, body: Readable.from([manifest]) };
    await writes.putManifest(put, ctx);
    kept.pass(DAY);
    await tidy(kept);
    expect(await holds(kept.blobs, layer)).toBe(true);
  });

  it("when a client has just been told that it is there, whatever is being collected", async () => {
    const kept = await keeping();
    const { writes, reads } = registryOver(kept);
    const layer = await pushBlob(writes, body(1_000, 1));
    kept.pass(DAY);
    const unnamed = kept.facts.hosting.unnamed.bind(kept.facts.hosting);
    vi.spyOn(kept.facts.hosting, "unnamed").mockImplementation(async (...page) => {
      const found = await unnamed(...page);
      await reads.statBlob({ repo: APP, digest: layer }, ctx);
      return found;
    });
    expect((await tidy(kept)).links).toBe(0);
    expect((await reads.statBlob({ repo: APP, digest: layer }, ctx)).descriptor.size).toBe(1_000);
  });

  it("when its facts of what is held are lost", async () => {
    const first = await keeping();
    const image = await pushImage(registryOver(first).writes, "v1", [body(1_000, 1)]);
    for (const digest of image) await first.facts.holdings.release(digest);
    await first.close();
    const kept = await keeping({ folder: first.folder });
    await kept.reconciled;
    kept.pass(100 * DAY);
    await kept.sweep.expire(DAY);
    await tidy(kept);
    expect(await all(kept, image)).toEqual(everything(image));
    const { reads } = registryOver(kept);
    expect((await reads.getManifest({ repo: APP, reference: "v1" as Reference }, ctx)).descriptor.digest).toBe(image[0]);
  });
});

describe("a store that is full of it", () => {
  it("refuses pushes, leaves nothing half, and takes them again when something was deleted", async () => {
    const kept = await keeping({ maxSize: 300_000 });
    const { writes, uploads } = registryOver(kept);
    const [top] = await pushImage(writes, "v1", [body(200_000, 1)]);
    const { id } = await writes.openUpload({ repo: APP }, ctx);
    const pieces = () => Readable.from([1, 2, 3].map((seed) => body(60_000, seed)));
    expect(await refusal(writes.appendUpload({ repo: APP, id, body: pieces() }, ctx))).toBe("STORE_FULL");
    expect(await refusal(writes.uploadStatus({ repo: APP, id }, ctx))).toBe("BLOB_UPLOAD_UNKNOWN");
    expect(await refusal(pushBlob(writes, body(150_000, 2)))).toBe("STORE_FULL");
    expect(kept.disk.room.isFull).toBe(true);
    await uploads.close();
    expect(readdirSync(join(kept.folder, "spool"))).toEqual([]);
    await writes.deleteManifest({ repo: APP, digest: top! }, ctx);
    kept.pass(2 * DAY);
    await tidy(kept);
    expect(await refusal(pushBlob(writes, body(150_000, 2)))).toBe("done");
  });
});

describe("a client that nobody knows", () => {
  it("makes nothing go by what it only promises to send", async () => {
    const kept = await keeping({ maxSize: 40 * 1024 * 1024 });
    const mirrored = await put(kept.blobs, body(30 * 1024 * 1024, 1));
    const { writes } = registryOver(kept, { ...STRANGERS, believed: 1024 * 1024 });
    const { id } = await writes.openUpload({ repo: APP }, ctx);
    const chunk = { repo: APP, id, body: Readable.from([body(100, 2)]), length: 35 * 1024 * 1024 };
    expect(await refusal(writes.appendUpload(chunk, ctx))).toBe("SIZE_INVALID");
    expect(await holds(kept.blobs, mirrored)).toBe(true);
  });
});

describe("manifests", () => {
  it("of who sends slowly keep nobody waiting, and end", async () => {
    const { writes } = registryOver(await keeping());
    const slow = new Readable({ read: () => undefined });
    slow.push("{");
    const put = { repo: APP, reference: "slow" as Reference, tags: [], mediaType: TYPE, body: slow };
    const outcome = refusal(writes.putManifest(put, ctx));
    await pushImage(writes, "v1", [body(10, 1)]);
    slow.destroy();
    expect(await outcome).toBe("SIZE_INVALID");
    const receive = receiving(20);
    expect(await refusal(receive(new Readable({ read: () => undefined }), "10.0.0.1"))).toBe("SIZE_INVALID");
    const hold = (client: string, length: number) =>
      Array.from({ length }, () => receive(new Readable({ read: () => undefined }), client).catch(codeOf));
    const brief = (client: string) => receive(Readable.from([Buffer.from("{}")]), client);
    const waiting = hold("10.0.0.1", 64);
    // who fills his own places fills nobody else's
    expect(await refusal(brief("10.0.0.1"))).toBe("TOOMANYREQUESTS");
    expect(await brief("10.0.0.2")).toEqual(Buffer.from("{}"));
    for (let n = 2; n < 5; n += 1) waiting.push(...hold(`10.0.0.${n}`, 16));
    expect(await refusal(brief("10.0.0.5"))).toBe("TOOMANYREQUESTS");
    await Promise.all(waiting);
    for (let n = 1; n < 5; n += 1) expect(await brief(`10.0.0.${n}`)).toEqual(Buffer.from("{}"));
  });

  it("are parsed once, however large: all others wait meanwhile", async () => {
    const { writes } = registryOver(await keeping());
    const layer = await pushBlob(writes, body(10, 1));
    const text = JSON.stringify({ schemaVersion: 2, layers: [{ digest: layer }], filling: [...Array(1_000).keys()] });
    const parse = vi.spyOn(JSON, "parse");
    onTestFinished(() => parse.mockRestore());
    const put = { repo: APP, reference: "v1" as Reference, tags: [], mediaType: TYPE, body: Readable.from([Buffer.from(text)]) };
    await writes.putManifest(put, ctx);
    expect(parse.mock.calls.filter(([parsed]) => parsed === text)).toHaveLength(1);
  });

  it("that refer to one subject are listed in pages, however long what they say is", async () => {
    const { writes, reads } = registryOver(await keeping());
    const subject = digestOf(Buffer.from("subject"));
    const pushed: Digest[] = [];
    for (let n = 0; n < 45; n += 1) {
      const document = { n, subject: { digest: subject }, artifactType: "t", annotations: { long: "x".repeat(60_000) } };
      const put = { repo: APP, reference: digestOf(Buffer.from(JSON.stringify(document))), tags: [], mediaType: TYPE };
      pushed.push(
        (await writes.putManifest({ ...put, body: Readable.from([Buffer.from(JSON.stringify(document))]) }, ctx)).digest,
      );
    }
    const pages: string[][] = [];
    for (let page: string | undefined = ""; page !== undefined; ) {
      const { bytes, metadata } = await reads.listReferrers({ repo: APP, digest: subject, artifactType: "t", page }, ctx);
      pages.push((JSON.parse(bytes.toString()) as { manifests: { digest: string }[] }).manifests.map(({ digest }) => digest));
      expect(bytes.length).toBeLessThan(4 * 1024 * 1024);
      page = metadata.next && /last=.*$/.exec(decodeURIComponent(metadata.next))?.[0];
    }
    expect(pages.map(({ length }) => length)).toEqual([40, 5]);
    expect(pages.flat()).toEqual(pushed.toSorted());
  });
});

describe("uploads", () => {
  it("that nobody goes on with make way where others find no room", async () => {
    const kept = await keeping({ maxSize: 100_000 });
    const { writes } = registryOver(kept);
    const { id } = await writes.openUpload({ repo: APP }, ctx);
    await writes.appendUpload({ repo: APP, id, body: Readable.from([body(60_000, 1)]) }, ctx);
    expect(await refusal(pushBlob(writes, body(60_000, 2)))).toBe("STORE_FULL");
    kept.pass(11_000);
    expect(await refusal(pushBlob(writes, body(60_000, 2)))).toBe("done");
    expect(await refusal(writes.uploadStatus({ repo: APP, id }, ctx))).toBe("BLOB_UPLOAD_UNKNOWN");
  });

  it("are bounded in number and in idleness", async () => {
    const kept = await keeping();
    const { writes } = registryOver(kept, { ...LIMITS, inAll: 3, perClient: 2, idle: 1_000 });
    const other = { ...ctx, client: "10.0.0.2" };
    const open = (who = ctx) => refusal(writes.openUpload({ repo: APP }, who));
    expect([await open(), await open(), await open(), await open(other), await open(other)]).toEqual([
      ...["done", "done", "TOOMANYREQUESTS", "done", "TOOMANYREQUESTS"],
    ]);
    kept.pass(2_000);
    await expect.poll(() => open()).toBe("done");
  });

  it("make way for others where all places are taken: first those of the client that has most of them", async () => {
    const kept = await keeping();
    const { writes } = registryOver(kept, { ...LIMITS, inAll: 5, perClient: 4, spare: 1_000 });
    const open = (client: string) => writes.openUpload({ repo: APP }, { ...ctx, client });
    const early = await open("10.0.0.1");
    const many = [];
    for (let n = 0; n < 4; n += 1) many.push(await open("10.0.0.2"));
    expect(await refusal(open("10.0.0.3"))).toBe("TOOMANYREQUESTS");
    kept.pass(2_000);
    // who has the most of them gets none in place of another's
    expect(await refusal(open("10.0.0.2"))).toBe("TOOMANYREQUESTS");
    const late = await open("10.0.0.3");
    const state = ({ id }: { id: string }) => refusal(writes.uploadStatus({ repo: APP, id }, ctx));
    expect(await Promise.all([early, late, ...many].map(state))).toEqual([
      ...["done", "done"],
      ...["BLOB_UPLOAD_UNKNOWN", "done", "done", "done"],
    ]);
  });

  it("end a writer who says nothing any more, and keep what came of it", async () => {
    const kept = await keeping();
    const { writes } = registryOver(kept, { ...LIMITS, silence: 50 });
    const { id } = await writes.openUpload({ repo: APP }, ctx);
    const silent = new Readable({ read: () => undefined });
    silent.push("some");
    expect(await refusal(writes.appendUpload({ repo: APP, id, body: silent }, ctx))).toBe("SIZE_INVALID");
    expect(await writes.uploadStatus({ repo: APP, id }, ctx)).toEqual({ id, size: 4 });
    const rest = { body: Readable.from([Buffer.from("thing")]), range: { start: 4, end: 8 } };
    await writes.finishUpload({ repo: APP, id, digest: digestOf(Buffer.from("something")), ...rest }, ctx);
  });

  it("are not known by what is no id of theirs", async () => {
    const { writes } = registryOver(await keeping());
    const { id: own } = await writes.openUpload({ repo: APP }, ctx);
    const guess = fc.oneof(
      fc.string(),
      fc.base64String({ minLength: 22, maxLength: 24 }),
      fc.constantFrom("__proto__", `${own}=`),
    );
    await fc.assert(
      fc.asyncProperty(guess, async (id) => {
        expect(await refusal(writes.uploadStatus({ repo: APP, id }, ctx))).toBe("BLOB_UPLOAD_UNKNOWN");
      }),
    );
  });
});
