// What the recorded clients pulled and pushed, made again byte for byte: no clock, no chance, no compressor that may change.
import { createCipheriv, createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { Image, type Layer, sha256, tar } from "../e2e/image.ts";

const INDEX = "application/vnd.oci.image.index.v1+json";

/** Bytes that look random and are always the same. */
const seeded = (seed: string, size: number): Buffer => {
  const key = createHash("sha256").update(seed).digest().subarray(0, 16);
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(size));
};

/** gzip that compresses nothing (RFC 1951 §3.2.4): what a compressor makes of it depends on its version. */
const storedGzip = (bytes: Buffer): Buffer => {
  const parts: Buffer[] = [Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])];
  for (let at = 0; at < bytes.length; at += 0xffff) {
    const piece = bytes.subarray(at, at + 0xffff);
    const head = Buffer.from([at + piece.length === bytes.length ? 1 : 0, 0, 0, 0, 0]);
    head.writeUInt16LE(piece.length, 1);
    head.writeUInt16LE(~piece.length & 0xffff, 3);
    parts.push(head, piece);
  }
  const tail = Buffer.alloc(8);
  tail.writeUInt32LE(crc32(bytes), 0);
  tail.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([...parts, tail]);
};

const layer = (path: string, body: Buffer): Layer => {
  const unpacked = tar([{ path, body }]);
  const bytes = storedGzip(unpacked);
  return { digest: sha256(bytes), bytes, tar: unpacked };
};

const ARCHITECTURES = ["amd64", "arm64"] as const;

/** What is pushed: an image of one layer with one file, of which any compressor makes between 1 and 4 KiB. */
export interface Pushed {
  readonly image: Image;
  readonly text: string;
}

const pushed = (line: string): Pushed => {
  const text = line.repeat(8_000) + seeded(line, 1_000).toString("hex");
  return { image: Image.of([layer("notes", Buffer.from(text))], "amd64"), text };
};

export const NOTES = pushed("a line that any compressor makes small\n");
/** Pushed once, over a connection that is torn. */
export const LOST_NOTES = pushed("a line that does not arrive at first\n");
/** One platform; its second layer is the one whose download is torn. */
export const APP = Image.of([layer("motd", Buffer.from("well\n")), layer("big", seeded("big", 3 * 1024 * 1024))], "amd64");
export const BIG = APP.layers[1]!;
/** The images of the index, one for each platform. */
export const MULTI = ARCHITECTURES.map((architecture) => Image.of([layer("cpu", seeded(architecture, 20_000))], architecture));
/** Where the download of BIG is torn: bytes from its start. */
export const TORN_AT = 2_000_000;

const platforms = MULTI.map(({ manifest, mediaType }, n) => ({
  mediaType,
  digest: manifest.digest,
  size: manifest.bytes.length,
  platform: { architecture: ARCHITECTURES[n]!, os: "linux" },
}));
const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: platforms }));
export const MULTI_INDEX = { digest: sha256(bytes), bytes, mediaType: INDEX };

const images = [NOTES.image, LOST_NOTES.image, APP, ...MULTI];
const unpacked = images.flatMap(({ layers }) => layers.map(({ tar }) => ({ digest: sha256(tar), bytes: tar })));

/** Every body by its digest: manifests, blobs, and layers as they are before gzip, as which some clients push them. */
export const BODIES: ReadonlyMap<string, Buffer> = new Map(
  [MULTI_INDEX, ...images.flatMap((image) => [image.manifest, ...image.blobs]), ...unpacked].map((each) => [
    each.digest,
    each.bytes,
  ]),
);
