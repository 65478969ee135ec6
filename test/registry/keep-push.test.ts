// Keeping never slows or breaks a push, and is bounded: slow, full and broken disks, clients that begin much, Locations that mean nothing.
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { silent } from "../../src/lib/log.ts";
import { Places } from "../../src/lib/places.ts";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import { parseRepository } from "../../src/oci/reference.ts";
import { Beside, Waiting } from "../../src/registry/beside.ts";
import { UploadsSeen, uploadKey } from "../../src/registry/uploads-seen.ts";
import { type BlobStore, type Stage, StoreFull } from "../../src/store/blobs.ts";
import { openDisk } from "../../src/store/disk.ts";
import { memoryBlobs } from "../../src/store/memory.ts";
import { HOUR, MINUTE, stack } from "./stack.ts";
import { writer } from "./writer.ts";

const REPO = parseRepository("acme/app");
const MIB = 1024 * 1024;

/** Stages whose appending is done by `append`. */
const spoilt = (append: (bytes: Uint8Array, real: Stage) => Promise<void>) => {
  const inner = memoryBlobs();
  const open = new Set<Stage>();
  const blobs: BlobStore = {
    ...inner,
    async stage(...options) {
      const real = await inner.stage(...options);
      open.add(real);
      const forget = async (reason: Error) => {
        open.delete(real);
        await real.discard(reason);
      };
      return Object.assign(Object.create(real) as Stage, {
        append: (bytes: Uint8Array) => append(bytes, real),
        verify: (digest: Digest) => real.verify(digest),
        commit: () => real.commit().then(() => void open.delete(real)),
        discard: forget,
      });
    },
  };
  return { blobs, open };
};

const pushed = async (
  made: ReturnType<typeof stack>,
  pieces: readonly Buffer[],
  location = "/v2/acme/app/blobs/uploads/1?_state=x",
) => {
  const { write, pushes } = writer(made);
  const digest = digestOf(Buffer.concat(pieces));
  await write("POST", "/v2/acme/app/blobs/uploads/", { send: async () => ({ status: 202, location }) });
  await write("PATCH", location, { body: pieces, send: async () => ({ status: 202, location }) });
  const began = performance.now();
  const finishing = write("PUT", `${location}&digest=${digest}`, { send: async () => ({ status: 201, digest }) });
  return { finishing, began, digest, pushes, location, write };
};

describe("a disk", () => {
  it("that is as fast as the push keeps it, whatever the pieces are", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 2_000 }), { maxLength: 20 }), async (pieces) => {
        const made = stack();
        const { finishing, digest, pushes } = await pushed(
          made,
          pieces.map((piece) => Buffer.from(piece)),
        );
        await finishing;
        const bytes = Buffer.concat(pieces);
        expect((await made.blobs.readAll(digest, MIB))?.equals(bytes)).toBe(true);
        expect(await made.facts.link({ site: made.site.host, repo: REPO, digest })).toEqual({ mediaType: undefined });
        expect(pushes.uploads.size).toBe(0);
        expect(pushes.waiting.bytes).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it("keeps also what goes on at a path that is none of the specification's, as some registries have it", async () => {
    const made = stack();
    const { finishing, digest } = await pushed(made, [randomBytes(1_000)], "/artifacts-uploads/namespaces/acme/uploads/AF2X?x=1");
    await finishing;
    expect(await made.facts.link({ site: made.site.host, repo: REPO, digest })).toBeDefined();
    expect(await made.blobs.stat(digest)).toBeDefined();
  });

  it("that takes nothing holds nobody up, and no more of the push than may wait", async () => {
    const gate = Promise.withResolvers<void>();
    const { blobs, open } = spoilt((bytes, real) => gate.promise.then(() => real.append(bytes)));
    const made = stack({}, blobs);
    const piece = randomBytes(MIB);
    const { finishing, digest, pushes } = await pushed(
      made,
      Array.from({ length: 64 }, () => piece),
    );
    // what is being written at the moment is all there is left of it
    expect(pushes.waiting.bytes).toBe(0);
    await finishing;
    expect(await made.blobs.stat(digest)).toBeUndefined();
    expect(await made.facts.link({ site: made.site.host, repo: REPO, digest })).toBeUndefined();
    gate.resolve();
    await vi.waitUntil(() => open.size === 0, { timeout: 10_000 });
  });

  it.each([
    ["that is full", () => Promise.reject(new StoreFull("no room"))],
    ["that fails", () => Promise.reject(new Error("EIO"))],
  ])("%s keeps nothing, and the push goes on", async (_what, append) => {
    const { blobs, open } = spoilt(append);
    const made = stack({}, blobs);
    const { finishing, digest, pushes } = await pushed(made, [randomBytes(1_000), randomBytes(1_000)]);
    await finishing;
    expect(await made.blobs.stat(digest)).toBeUndefined();
    await vi.waitUntil(() => open.size === 0, { timeout: 10_000 });
    expect(pushes.waiting.bytes).toBe(0);
    expect(pushes.uploads.size).toBe(0);
  });

  it.each([
    ["that is full from the start", 0],
    ["that becomes full", 1_500_000],
  ])("%s (a real one) keeps nothing and leaves nothing, and the push goes on", async (_what, free) => {
    const folder = mkdtempSync(join(tmpdir(), "layover-push-"));
    const disk = await openDisk({ folder, reserve: 0, room: async () => ({ free, total: 10_000_000 }) });
    onTestFinished(async () => {
      await disk.close();
      rmSync(folder, { recursive: true, force: true });
    });
    const made = stack({}, disk);
    const { finishing, digest } = await pushed(
      made,
      Array.from({ length: 40 }, () => randomBytes(100_000)),
    );
    await finishing;
    expect(await disk.stat(digest)).toBeUndefined();
    await vi.waitUntil(() => readdirSync(join(folder, "spool")).length === 0, { timeout: 10_000 });
  });

  it("that has no room for a stage keeps nothing", async () => {
    const made = stack({}, memoryBlobs(500));
    const { finishing, digest } = await pushed(made, [randomBytes(1_000)]);
    await finishing;
    expect(await made.blobs.stat(digest)).toBeUndefined();
  });

  it("that all pushes together are too much for gives some of them up", async () => {
    const waiting = new Waiting(5 * MIB);
    const gate = Promise.withResolvers<void>();
    const { blobs } = spoilt((bytes, real) => gate.promise.then(() => real.append(bytes)));
    const many = Array.from({ length: 4 }, () => new Beside({ stage: () => blobs.stage(), waiting, log: silent }));
    const piece = randomBytes(2 * MIB);
    for (const one of many) one.offer(piece);
    expect(many.map(({ isLost }) => isLost)).toEqual([false, false, true, true]);
    expect(waiting.bytes).toBeLessThanOrEqual(waiting.most);
    gate.resolve();
    expect(await Promise.all(many.map((one) => one.keep(digestOf(piece))))).toEqual([true, true, false, false]);
    expect(waiting.bytes).toBe(0);
  });
});

describe("uploads that are kept track of", () => {
  const upload = (client: string) => ({
    repo: REPO,
    client,
    beside: new Beside({ stage: () => memoryBlobs().stage(), waiting: new Waiting(MIB), log: silent }),
  });

  it("are so many of one client, and so many in all", () => {
    const seen = new UploadsSeen(new Places({ perClient: 3, inAll: 5 }), () => 0);
    for (let n = 0; n < 10; n += 1) seen.begin(`a${n}`, upload("a"));
    expect(seen.size).toBe(3);
    for (let n = 0; n < 10; n += 1) seen.begin(`b${n}`, upload("b"));
    expect(seen.size).toBe(5);
    seen.end("a0");
    seen.begin("c", upload("c"));
    expect(seen.take("c")).toBeDefined();
    expect(seen.take("b9")).toBeUndefined();
  });

  it("are forgotten when nobody goes on with them, but not while somebody does", () => {
    let now = 0;
    const seen = new UploadsSeen(new Places({ perClient: 9, inAll: 9 }), () => now);
    const [idle, busy] = [upload("a"), upload("a")];
    seen.begin("idle", idle);
    seen.begin("busy", busy);
    const taken = seen.take("busy")!;
    now = HOUR;
    seen.sweep();
    expect([idle.beside.isLost, busy.beside.isLost]).toEqual([true, false]);
    seen.giveBack("busy", taken, "next");
    now = HOUR + 9 * MINUTE;
    seen.sweep();
    expect(seen.size).toBe(1);
    now = HOUR + 11 * MINUTE;
    seen.sweep();
    expect([seen.size, busy.beside.isLost]).toEqual([0, true]);
  });

  it("that two requests go on with at once are given up by the second, and what the first then says changes nothing", () => {
    const seen = new UploadsSeen(new Places({ perClient: 9, inAll: 9 }), () => 0);
    seen.begin("one", upload("a"));
    const first = seen.take("one")!;
    expect(seen.take("one")).toBeUndefined();
    expect(first.beside.isLost).toBe(true);
    seen.giveBack("one", first, "two");
    expect(seen.size).toBe(0);
  });

  it("never become one, whatever Location upstream gives", () => {
    const seen = new UploadsSeen(new Places({ perClient: 9, inAll: 9 }), () => 0);
    seen.begin("one", upload("a"));
    seen.begin("two", upload("b"));
    const [one, two] = [seen.take("one")!, seen.take("two")!];
    seen.giveBack("two", two, "one");
    expect([one.beside.isLost, two.beside.isLost]).toEqual([false, true]);
    seen.begin("one", upload("c"));
    seen.giveBack("one", one, "one");
    expect(seen.take("one")).toBe(one);
  });
});

describe("what a Location stands for", () => {
  const { site } = { site: { host: "registry.example", hijackNames: ["registry.example", "alias.example"] } };
  const key = (target: string) => uploadKey(site as never, target);

  it("is the same however it is written", () => {
    const same = key("/v2/a/blobs/uploads/1?_state=a%2Fb%3D&x=1");
    expect(same).toBeDefined();
    for (const other of [
      "https://registry.example/v2/a/blobs/uploads/1?_state=a%2Fb%3D&x=1",
      "https://alias.example/v2/a/blobs/uploads/1?x=1&_state=a/b=",
      "/v2/a/blobs/uploads/1?x=1&digest=sha256%3Aabc&_state=a%2fb%3d",
    ])
      expect(key(other), other).toBe(same);
    // against what it answers (RFC 9110 §10.2.2)
    expect(uploadKey(site as never, "1?_state=a%2Fb%3D&x=1", "/v2/a/blobs/uploads/?mount=x")).toBe(same);
    for (const other of [
      "/v2/a/blobs/uploads/2?_state=a%2Fb%3D&x=1",
      "/v2/a/blobs/uploads/1?_state=a%2Fb%3D",
      "/v2/b/blobs/uploads/1?_state=a%2Fb%3D&x=1",
    ])
      expect(key(other), other).not.toBe(same);
  });

  it("is nothing where it leads elsewhere, and never throws", () => {
    for (const elsewhere of ["https://evil.example/v2/a/blobs/uploads/1", "//evil.example/x", "http://[", "mailto:a@b"])
      expect(key(elsewhere), elsewhere).toBeUndefined();
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.webUrl({ withQueryParameters: true })),
        (text) => void uploadKey(site as never, text, text),
      ),
    );
  });
});

describe("a delete", () => {
  it.each(["while it goes by", "while it is kept"])("of what is pushed leaves no link to it (%s)", async (when) => {
    const kept = Promise.withResolvers<void>();
    const { blobs } = spoilt((bytes, real) =>
      (when === "while it is kept" ? kept.promise : Promise.resolve()).then(() => real.append(bytes)),
    );
    const made = stack({}, blobs);
    const { write } = writer(made);
    const bytes = randomBytes(100);
    const digest = digestOf(bytes);
    const remove = () => write("DELETE", `/v2/${REPO}/blobs/${digest}`, { send: async () => ({ status: 202 }) });
    const pushing = write("POST", `/v2/${REPO}/blobs/uploads/?digest=${digest}`, {
      body: [bytes],
      length: bytes.length,
      async send() {
        if (when === "while it goes by") await remove();
        return { status: 201, digest };
      },
    });
    if (when === "while it is kept") await remove();
    kept.resolve();
    await pushing;
    expect(await made.blobs.stat(digest)).toBeDefined();
    expect(await made.facts.link({ site: made.site.host, repo: REPO, digest })).toBeUndefined();
  });
});

describe("a grant", () => {
  it("does not follow from a push: who pushes has not been seen to read", async () => {
    const made = stack();
    const { finishing } = await pushed(made, [randomBytes(100)]);
    await finishing;
    expect(await made.rights.standing(REPO, "Basic cHVzaGVyOng=")).toBe("none");
    expect(await made.rights.standing(REPO, undefined)).toBe("none");
  });
});
