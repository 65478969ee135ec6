// Where blobs lie as files: blobs/<algorithm>/<2 hex>/<hex> below the data folder.
import { join } from "node:path";
import { type Algorithm, algorithmOf, type Digest, hexOf, isDigest } from "../oci/digest.ts";

const ALGORITHMS: readonly Algorithm[] = ["sha256", "sha512"];

export const blobsIn = (folder: string): string => join(folder, "blobs");

export const blobPath = (folder: string, digest: Digest): string => {
  const hex = hexOf(digest);
  return join(blobsIn(folder), algorithmOf(digest), hex.slice(0, 2), hex);
};

/** One of the folders that hold files, and what the digests of all that belongs there begin with. */
export interface Shelf {
  readonly path: string;
  readonly algorithm: Algorithm;
  readonly prefix: string;
}

/** In the order of digests. */
export const shelves = (folder: string): Shelf[] =>
  ALGORITHMS.flatMap((algorithm) =>
    Array.from({ length: 256 }, (_, n) => {
      const hex = n.toString(16).padStart(2, "0");
      return { path: join(blobsIn(folder), algorithm, hex), algorithm, prefix: `${algorithm}:${hex}` };
    }),
  );

/** `undefined`: nothing that we would have put on this shelf. */
export const digestOn = ({ algorithm, prefix }: Shelf, name: string): Digest | undefined => {
  const digest = `${algorithm}:${name}`;
  return isDigest(digest) && digest.startsWith(prefix) ? digest : undefined;
};
