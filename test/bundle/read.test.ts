// Bundles as somebody might send them who means ill, and as a torn line leaves them.
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Contents, contentsOf } from "../../src/bundle/contents.ts";
import { piecesOf } from "../../src/bundle/pieces.ts";
import { openBundle } from "../../src/bundle/read.ts";
import { BLOCK, END, headerOf, paddingOf } from "../../src/lib/tar.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { emptyFolder } from "../cli/command.ts";
import { descriptor, INDEX_TYPE, image, layout, MANIFEST_TYPE, type Made, multi } from "./layout.ts";

const look = async (path: string): Promise<Contents> => {
  const bundle = await openBundle(path);
  try {
    return await contentsOf(bundle);
  } finally {
    await bundle.close();
  }
};

const lookInto = (bytes: Buffer): Promise<Contents> => {
  const path = join(emptyFolder(), "bundle.tar");
  writeFileSync(path, bytes);
  return look(path);
};

const entry = (name: string, body: Buffer | string = "", type?: string): Buffer => {
  const bytes = Buffer.from(body);
  const header = headerOf(name, bytes.length);
  if (type !== undefined) retype(header, type);
  return Buffer.concat([header, bytes, Buffer.alloc(paddingOf(bytes.length))]);
};

const retype = (header: Buffer, type: string): void => {
  header.write(type, 156);
  header.write("        ", 148);
  const sum = header.reduce((all, byte) => all + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
};

const pax = (records: string, type = "x"): Buffer => entry("pax", records, type);
const blobOf = (bytes: Buffer): Buffer => entry(`blobs/sha256/${digestOf(bytes).slice(7)}`, bytes);
const LAYOUT = entry("oci-layout", '{"imageLayoutVersion":"1.0.0"}');

const indexOf = (made: Made, type = MANIFEST_TYPE): Buffer =>
  entry("index.json", JSON.stringify({ manifests: [descriptor(made.manifest, type)] }));

const one = image("one");
const GOOD = [LAYOUT, indexOf(one), ...one.blobs.map(blobOf)];

describe("a bundle", () => {
  it("is found whole, whatever else lies in it", async () => {
    const strange = [
      entry("../../../etc/passwd", "root::0:0"),
      entry("/etc/cron.d/x", "* * * * * root id"),
      entry("blobs/sha256/../../../x", "x"),
      entry("blobs/sha256/link", "", "2"),
      entry("dev", "", "3"),
      entry("manifest.json", "[]"),
      pax("30 comment=nothing of interest\n".replace("30", "31")),
    ];
    const contents = await lookInto(Buffer.concat([...strange, ...GOOD, END]));
    expect([...contents.sizes.keys()].sort()).toEqual(one.blobs.map((bytes) => digestOf(bytes)).sort());
  });

  it("that is not whole is refused, wherever it ends", async () => {
    const whole = Buffer.concat([...GOOD, END]);
    for (let length = 0; length <= whole.length - END.length; length += 256)
      await expect(lookInto(whole.subarray(0, length))).rejects.toThrow(/whole|no tar/);
  });

  it("that was spoilt on its way is refused, or still holds what it says", async () => {
    const whole = Buffer.concat([...GOOD, END]);
    const spot = fc.record({ at: fc.nat({ max: whole.length - 1 }), byte: fc.integer({ min: 1, max: 255 }) });
    const path = join(emptyFolder(), "bundle.tar");
    await fc.assert(
      fc.asyncProperty(fc.array(spot, { minLength: 1, maxLength: 3 }), async (spots) => {
        const spoilt = Buffer.from(whole);
        for (const { at, byte } of spots) spoilt[at] = spoilt[at]! ^ byte;
        writeFileSync(path, spoilt);
        const contents = await look(path).catch((error: unknown) => error);
        if (contents instanceof Error) return;
        expect([...(contents as Contents).manifests.keys()]).toEqual([digestOf(one.manifest)]);
      }),
      { numRuns: 300 },
    );
  });

  it.each<readonly [string, readonly Buffer[], RegExp]>([
    ["a sparse file", [entry("oci-layout", "x", "S")], /sparse/],
    ["a sparse file by pax", [pax("22 GNU.sparse.major=1\n"), ...GOOD], /sparse/],
    ["one size for all", [pax("11 size=99\n", "g"), ...GOOD], /one name or size/],
    ["a size beyond its end", [headerOf("oci-layout", 2 ** 50), ...GOOD], /not whole/],
    ["a pax header of two MiB", [entry("pax", Buffer.alloc(2 * 1024 * 1024, "1"), "x"), ...GOOD], /longer than any/],
    ["a pax size beyond its end", [pax(`25 size=9007199254740991\n`), ...GOOD], /not whole/],
    ["an index twice", [...GOOD, indexOf(image("two"))], /twice/],
    ["no index", [LAYOUT], /no index.json/],
    ["what docker save wrote once", [entry("manifest.json", "[]"), entry("1/layer.tar", "x")], /skopeo copy docker-archive/],
    ["another version", [entry("oci-layout", '{"imageLayoutVersion":"9"}'), indexOf(one)], /version/],
    ["an index that is none", [LAYOUT, entry("index.json", "[]")], /no index/],
    ["an index without images", [LAYOUT, entry("index.json", '{"manifests":[]}')], /empty/],
    ["a digest that is none", [LAYOUT, entry("index.json", '{"manifests":[{"digest":"sha256:../../x"}]}')], /no sha256/],
    ["an index of ten MiB", [LAYOUT, entry("index.json", Buffer.alloc(10 * 1024 * 1024, " "))], /which none needs/],
    [
      "too many images",
      [LAYOUT, entry("index.json", JSON.stringify({ manifests: Array.from({ length: 20_001 }, () => ({})) }))],
      /more than/,
    ],
    [
      "a link where a blob should be",
      [LAYOUT, indexOf(one), entry(`blobs/sha256/${digestOf(one.manifest).slice(7)}`, "", "2")],
      /has no/,
    ],
    [
      "other bytes than it says",
      [LAYOUT, indexOf(one), entry(`blobs/sha256/${digestOf(one.manifest).slice(7)}`, one.blobs[0])],
      /something else/,
    ],
  ])("with %s is refused", async (_, entries, why) => {
    await expect(lookInto(Buffer.concat([...entries, END]))).rejects.toThrow(why);
  });

  it("with indexes in one another, deeper than any are built, is refused", async () => {
    let made: Made = image("deep");
    const blobs = [...made.blobs];
    for (let depth = 0; depth < 8; depth += 1) {
      const manifest = Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: INDEX_TYPE,
          manifests: [descriptor(made.manifest, depth === 0 ? MANIFEST_TYPE : INDEX_TYPE)],
        }),
      );
      blobs.push(manifest);
      made = { manifest, blobs };
    }
    await expect(lookInto(Buffer.concat([LAYOUT, indexOf(made, INDEX_TYPE), ...blobs.map(blobOf), END]))).rejects.toThrow(
      /below more than/,
    );
  });

  it("may go without platforms, but not without layers", async () => {
    const sparse = multi("sparse", true);
    const contents = await lookInto(Buffer.concat([LAYOUT, indexOf(sparse, INDEX_TYPE), ...sparse.blobs.map(blobOf), END]));
    expect(contents.manifests.get(digestOf(sparse.manifest))).toMatchObject({ lacks: [digestOf(sparse.children[1]!.manifest)] });
    await expect(lookInto(Buffer.concat([LAYOUT, indexOf(one), blobOf(one.manifest), END]))).rejects.toThrow(/not whole/);
  });

  it("that is compressed says how it is read", async () => {
    await expect(lookInto(Buffer.concat([Buffer.from([0x1f, 0x8b]), Buffer.alloc(BLOCK)]))).rejects.toThrow(/zcat/);
  });

  it("as a folder is read by its files alone", async () => {
    const folder = layout([["ghcr.io/acme/app:1", one]]);
    expect((await look(folder)).roots).toMatchObject([{ names: ["ghcr.io/acme/app:1"] }]);
    const odd = emptyFolder();
    mkdirSync(join(odd, "index.json"));
    writeFileSync(join(odd, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
    await expect(look(odd)).rejects.toThrow(/no index.json/);
    const linked = layout([["ghcr.io/acme/app:1", { ...one, blobs: [one.blobs[0]!, one.manifest] }]]);
    symlinkSync("/dev/zero", join(linked, "blobs/sha256", digestOf(one.blobs[1]!).slice(7)));
    await expect(look(linked)).rejects.toThrow(/not whole/);
  });
});

describe("what is written", () => {
  it("is read back, with a digest of either algorithm", async () => {
    const long = digestOf(one.manifest, "sha512");
    const pieces = piecesOf({
      roots: [{ reference: "ghcr.io/acme/app:1", digest: long, mediaType: MANIFEST_TYPE, size: one.manifest.length }],
      blobs: [
        ...one.blobs.slice(0, 2).map((bytes) => ({ digest: digestOf(bytes), size: bytes.length })),
        { digest: long, size: one.manifest.length },
      ],
      docker: [],
    });
    const bodies = new Map<string, Buffer>([
      ...one.blobs.map((bytes) => [digestOf(bytes), bytes] as const),
      [long, one.manifest],
    ]);
    const bytes = Buffer.concat(pieces.map((piece) => ("bytes" in piece ? piece.bytes : bodies.get(piece.digest)!)));
    const contents = await lookInto(bytes);
    expect(contents.roots).toMatchObject([{ digest: long, names: ["ghcr.io/acme/app:1"] }]);
    expect(contents.sizes.size).toBe(3);
  });
});
