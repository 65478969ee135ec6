// Around a blob store: knows which blobs are being read from it just now, so that none of them is thrown away under its reader:
// the reader would not mind, but the disk would give no room back, and whoever reads now is likely not the last.
import type { Digest } from "../oci/digest.ts";
import type { BlobStore } from "./blobs.ts";

export class Readers {
  readonly #reading = new Map<Digest, number>();

  has(digest: Digest): boolean {
    return this.#reading.has(digest);
  }

  begin(digest: Digest): void {
    this.#reading.set(digest, (this.#reading.get(digest) ?? 0) + 1);
  }

  end(digest: Digest): void {
    const left = (this.#reading.get(digest) ?? 0) - 1;
    if (left > 0) this.#reading.set(digest, left);
    else this.#reading.delete(digest);
  }
}

export const counted = (inner: BlobStore, readers: Readers): BlobStore => ({
  stat: (digest) => inner.stat(digest),
  async read(digest, range) {
    const body = await inner.read(digest, range);
    if (body === undefined) return undefined;
    readers.begin(digest);
    return body.once("close", () => readers.end(digest));
  },
  readAll: (digest, limit) => inner.readAll(digest, limit),
  stage: (expected, algorithm) => inner.stage(expected, algorithm),
  fill: (digest, expected) => inner.fill(digest, expected),
  leftover: (digest) => inner.leftover(digest),
  delete: (digest) => inner.delete(digest),
  close: () => inner.close(),
});
