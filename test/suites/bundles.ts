// What every way to export and import must do alike: through a server, and on the store alone.
import { execFileSync } from "node:child_process";
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { expect, it } from "vitest";
import type { Content } from "../../src/admin/content.ts";
import type { Operations } from "../../src/admin/operations.ts";
import { type ImportReport, importBundle } from "../../src/bundle/import.ts";
import { piecesOf } from "../../src/bundle/pieces.ts";
import { openBundle } from "../../src/bundle/read.ts";
import { type Written, writeToFile } from "../../src/bundle/write.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { image, layout, multi, signatureOf } from "../bundle/layout.ts";
import { emptyFolder } from "../cli/command.ts";
import { quiet } from "./operations.ts";

export type Asked = Operations & { readonly content: Content };

export const NEAR = "images.test";

/** A site that is hosted; one whose upstream is never asked; one that asks its upstream, which is away. */
export const SITES = {
  [NEAR]: { kind: "local", access: "anonymous" },
  "offline.test": { upstream: "http://127.0.0.1:9", offline: true, access: "shared" },
  "online.test": { upstream: "http://127.0.0.1:9", rules: [{ match: "acme/pinned:*", pin: true }] },
};

const take = async (asked: Asked, path: string, as?: string): Promise<ImportReport> => {
  const bundle = await openBundle(path);
  try {
    return await importBundle({ bundle, operations: asked, content: asked.content, as, ...quiet });
  } finally {
    await bundle.close();
  }
};

const give = async (asked: Asked, path: string, references: readonly string[], more: object = {}): Promise<Written> => {
  const plan = await asked.exportPlan({ references, ...more }, quiet);
  expect(plan.missing).toEqual([]);
  return writeToFile(path, { pieces: piecesOf(plan), content: asked.content, ...quiet });
};

/** `open` gives what can be asked of a new and empty Layover with SITES. */
export const bundlesSuite = (open: () => Promise<Asked>): void => {
  it.each([NEAR, "offline.test", "online.test"])("takes in what it wrote, the same again, at %s", async (site) => {
    const [asked, other] = [await open(), await open()];
    const [one, all] = [image("one"), multi("all")];
    await take(
      asked,
      layout([
        [`${site}/acme/app:1`, one],
        [`${site}/acme/app:all`, all],
      ]),
    );
    const file = join(emptyFolder(), "bundle.tar");
    await give(asked, file, [`${site}/acme/app`]);
    const report = await take(other, file);
    expect(report.images).toEqual([
      { reference: `${site}/acme/app:1`, digest: digestOf(one.manifest), outcome: "new" },
      { reference: `${site}/acme/app:all`, digest: digestOf(all.manifest), outcome: "new" },
    ]);
    expect(report.held.count).toBe(0);
    expect(report.sent.count).toBe(10);
    const shown = await other.show({ reference: `${site}/acme/app:all` }, quiet);
    expect(shown).toMatchObject({ digest: digestOf(all.manifest), held: true, history: [{ reason: "import" }] });
    expect(shown.bytes.held).toBe(shown.bytes.named);
    const again = join(emptyFolder(), "again.tar");
    await give(other, again, [`${site}/acme/app`]);
    expect(readFileSync(again).equals(readFileSync(file))).toBe(true);
    const twice = await take(other, file);
    expect(twice.images.map(({ outcome }) => outcome)).toEqual(["same", "same"]);
    expect(twice.sent.count).toBe(0);
  });

  it("leaves platforms out of an index, which stays what it was", async () => {
    const [asked, other] = [await open(), await open()];
    const all = multi("all");
    await take(asked, layout([["offline.test/acme/app:all", all]]));
    const file = join(emptyFolder(), "bundle.tar");
    await give(asked, file, ["offline.test/acme/app:all"], { platforms: ["linux/arm64"] });
    await take(other, file, `${NEAR}/team/app:mine`);
    const shown = await other.show({ reference: `${NEAR}/team/app:mine` }, quiet);
    expect(shown.digest).toBe(digestOf(all.manifest));
    expect(shown.parts.map(({ platform, held }) => [platform, held])).toEqual([
      ["linux/amd64", false],
      ["linux/arm64", true],
    ]);
    expect(await other.exportPlan({ references: [`${NEAR}/team/app:mine`] }, quiet)).toMatchObject({
      left: [expect.stringContaining("linux/amd64")],
      missing: [],
    });
    const wanting = { references: [`${NEAR}/team/app:mine`], platforms: ["linux/amd64"] };
    expect((await other.exportPlan(wanting, quiet)).missing).toEqual([
      { reference: `${NEAR}/team/app@${digestOf(all.children[0]!.manifest)}`, why: expect.stringContaining("not held") },
    ]);
  });

  it("brings along what belongs to an image, and leaves it where it is told to", async () => {
    const [asked, other] = [await open(), await open()];
    const one = image("one");
    const [signature, cosigned] = [signatureOf(one.manifest), image("cosign")];
    const cosign = `${NEAR}/acme/app:${digestOf(one.manifest).replace(":", "-")}.sig`;
    await take(
      asked,
      layout([
        [`${NEAR}/acme/app:1`, one],
        ["", signature],
        [cosign, cosigned],
      ]),
    );
    const file = join(emptyFolder(), "bundle.tar");
    await give(asked, file, [`${NEAR}/acme/app:1`]);
    const { images } = await take(other, file);
    expect(images.map(({ reference }) => reference).sort()).toEqual(
      [`${NEAR}/acme/app:1`, cosign, `${NEAR}/acme/app@${digestOf(signature.manifest)}`].sort(),
    );
    const alone = join(emptyFolder(), "alone.tar");
    await give(asked, alone, [`${NEAR}/acme/app`], { referrers: false });
    expect((await take(await open(), alone)).images).toHaveLength(1);
  });

  it("goes on with what was broken off, and with nothing else that lies there", async () => {
    const asked = await open();
    await take(asked, layout([[`${NEAR}/acme/app:1`, image("one", 300_000)]]));
    const file = join(emptyFolder(), "bundle.tar");
    const { bytes } = await give(asked, file, [`${NEAR}/acme/app:1`]);
    const whole = readFileSync(file);
    for (const length of [0, 100, 512, 3_000, 100_000, 250_000, bytes - 1_024, bytes]) {
      writeFileSync(`${file}.part`, whole);
      truncateSync(`${file}.part`, length);
      const written = await give(asked, file, [`${NEAR}/acme/app:1`]);
      expect(readFileSync(file).equals(whole)).toBe(true);
      if (length > 3_000) expect(written.resumed).toBeGreaterThan(0);
    }
    for (const at of [0, 600, 5_000, 150_000, bytes - 10]) {
      const spoilt = Buffer.from(whole);
      spoilt[at] = spoilt[at]! ^ 1;
      // what a power cut has left of a blob is found at its end
      writeFileSync(`${file}.part`, spoilt.subarray(0, Math.max(at + 1, 200_000)));
      await give(asked, file, [`${NEAR}/acme/app:1`]);
      expect(readFileSync(file).equals(whole)).toBe(true);
    }
    writeFileSync(`${file}.part`, Buffer.concat([whole, Buffer.alloc(9_999, 7)]));
    await give(asked, file, [`${NEAR}/acme/app:1`]);
    expect(readFileSync(file).equals(whole)).toBe(true);
  });

  it("moves no tag that a rule or somebody holds, and says so", async () => {
    const asked = await open();
    const [one, two] = [image("one"), image("two")];
    await take(asked, layout([["online.test/acme/pinned:1", one]]));
    const report = await take(asked, layout([["online.test/acme/pinned:1", two]]));
    expect(report.images).toEqual([
      {
        reference: "online.test/acme/pinned:1",
        digest: digestOf(two.manifest),
        outcome: "held",
        before: digestOf(one.manifest),
        why: "a rule of this site pins it",
      },
    ]);
    expect((await asked.show({ reference: "online.test/acme/pinned:1" }, quiet)).digest).toBe(digestOf(one.manifest));
    expect(report.readers).toEqual([{ site: "online.test", readers: "upstream" }]);
  });

  it("moves no tag that is pinned, and moves it when nobody holds it any more", async () => {
    const asked = await open();
    const reference = `${NEAR}/acme/app:1`;
    const [one, two] = [image("one"), image("two")];
    await take(asked, layout([[reference, one]]));
    await asked.tagPin({ reference }, quiet);
    const report = await take(asked, layout([[reference, two]]));
    expect(report.images).toMatchObject([{ outcome: "held", before: digestOf(one.manifest), why: "a pin holds it" }]);
    await asked.tagUnpin({ reference }, quiet);
    expect((await take(asked, layout([[reference, two]]))).images).toMatchObject([{ outcome: "moved" }]);
  });

  it("takes no name of a site that it has not, and then nothing at all", async () => {
    const asked = await open();
    const folder = layout([
      [`${NEAR}/acme/app:1`, image("one")],
      ["elsewhere.test/acme/app:1", image("two")],
    ]);
    await expect(take(asked, folder)).rejects.toMatchObject({ code: "UNKNOWN_SITE" });
    expect(await asked.list({}, quiet)).toMatchObject({ totals: { blobs: 0 } });
    await expect(take(asked, layout([["1", image("one")]]))).rejects.toThrow("--as ghcr.io/acme/app:1");
    expect((await take(asked, layout([["1", image("one")]]), `${NEAR}/acme/app:9`)).images).toMatchObject([
      { reference: `${NEAR}/acme/app:9`, outcome: "new" },
    ]);
  });

  it("gives a repository nothing that the bundle has only the digest of", async () => {
    const asked = await open();
    const secret = image("secret");
    await take(asked, layout([["offline.test/private/app:1", secret]]));
    // it names what is held here, and has not its bytes
    const thief = layout([["offline.test/public/app:1", { manifest: secret.manifest, blobs: [secret.manifest] }]]);
    await expect(take(asked, thief)).rejects.toThrow(/not whole/);
    const stolen = layout([["offline.test/public/app:1", secret]]);
    const [, layer] = secret.blobs;
    const path = join(stolen, "blobs/sha256", digestOf(layer!).slice(7));
    writeFileSync(path, Buffer.alloc(layer!.length));
    await expect(take(asked, stolen)).rejects.toThrow(/something else/);
    const shown = await asked.show({ reference: `offline.test/private/app@${digestOf(layer!)}` }, quiet);
    expect(shown.links).toEqual([{ site: "offline.test", repository: "private/app" }]);
  });

  it.each([NEAR, "offline.test"])(
    "makes no manifest a repository's whose parts are not here, or another's, at %s",
    async (site) => {
      const asked = await open();
      const { manifest, blobs } = image("one");
      const [digest, parts] = [digestOf(manifest), blobs.filter((blob) => blob !== manifest)];
      const reference = `${site}/acme/app@${digest}`;
      const put = (bytes: Buffer) => asked.content.put(digestOf(bytes), bytes.length, Readable.from([bytes]), quiet.signal);
      const tag = (name: string) => asked.importTag({ reference: `${site}/${name}:1`, digest }, quiet);
      await expect(asked.importManifest({ reference }, quiet)).rejects.toMatchObject({ code: "NOT_HELD" });
      await put(manifest);
      await expect(asked.importManifest({ reference }, quiet)).rejects.toMatchObject({ code: "NOT_HELD" });
      for (const lacks of [parts.map((part) => digestOf(part)), [digestOf(parts[0]!)]])
        await expect(asked.importManifest({ reference, lacks }, quiet)).rejects.toMatchObject({ code: "INVALID" });
      for (const part of parts) await put(part);
      await expect(tag("acme/app")).rejects.toMatchObject({ code: "NOT_HELD" });
      await asked.importManifest({ reference }, quiet);
      await expect(tag("acme/other")).rejects.toMatchObject({ code: "NOT_HELD" });
      expect(await tag("acme/app")).toMatchObject({ outcome: "new" });
    },
  );

  it("takes no bytes that are not what they are called", async () => {
    const asked = await open();
    const one = image("one");
    const folder = layout([[`${NEAR}/acme/app:1`, one]]);
    writeFileSync(join(folder, "blobs/sha256", digestOf(one.blobs[1]!).slice(7)), Buffer.alloc(one.blobs[1]!.length));
    await expect(take(asked, folder)).rejects.toMatchObject({ code: "INVALID" });
    await expect(asked.show({ reference: `${NEAR}/acme/app:1` }, quiet)).rejects.toMatchObject({ code: "NOT_HELD" });
    await expect(asked.content.read(digestOf(one.blobs[1]!), 0, quiet.signal)).rejects.toMatchObject({ code: "NOT_HELD" });
  });

  it("reads what tar makes of a layout", async () => {
    const asked = await open();
    const folder = layout([[`${NEAR}/acme/app:1`, image("one")]]);
    const file = join(emptyFolder(), "made.tar");
    execFileSync("tar", ["-C", folder, "-cf", file, "."]);
    expect((await take(asked, file)).images).toMatchObject([{ outcome: "new" }]);
    for (const format of ["v7", "ustar", "gnu", "posix"]) {
      execFileSync("tar", ["-C", folder, `--format=${format}`, "-cf", file, "blobs", "index.json", "oci-layout"]);
      expect((await take(asked, file)).images).toMatchObject([{ outcome: "same" }]);
    }
  });
};
