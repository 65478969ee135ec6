// A manifest into the store, with what it needs noted beside it.
import type { Logger } from "../lib/log.ts";
import { algorithmOf, type Digest } from "../oci/digest.ts";
import { isSchema1 } from "../oci/media.ts";
import { partsOf } from "../oci/parts.ts";
import type { Manifest } from "../oci/registry.ts";
import { type BlobStore, StoreFull } from "../store/blobs.ts";

export interface KeepParts {
  readonly blobs: BlobStore;
  readonly log: Logger;
}

/**
 * Stored under its digest before anybody is answered: a tag must never lead to a digest that is not there.
 * False: there is no room for it, or it cannot be verified.
 */
export const keepManifest = async ({ blobs, log }: KeepParts, { bytes, descriptor }: Manifest): Promise<boolean> => {
  if (isSchema1(descriptor.mediaType)) return false;
  try {
    await storeManifest(blobs, bytes, descriptor.digest, partsOf(bytes));
    return true;
  } catch (error) {
    if (!(error instanceof StoreFull))
      log.error({ digest: descriptor.digest, err: String(error) }, "a manifest could not be kept");
    return false;
  }
};

/** With what it names. Throws StoreFull, or what the disk says. */
export const storeManifest = async (blobs: BlobStore, bytes: Buffer, digest: Digest, parts: readonly Digest[]): Promise<void> => {
  const stage = await blobs.stage(bytes.length, algorithmOf(digest));
  try {
    await stage.append(bytes);
    if (!(await stage.verify(digest))) throw new Error(`a manifest is not ${digest}`);
    await stage.commit(parts);
  } finally {
    await stage.discard(new Error("manifest stage is over"));
  }
};
