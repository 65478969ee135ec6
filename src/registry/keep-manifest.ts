// A manifest into the store, with what it needs noted beside it.
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { algorithmOf } from "../oci/digest.ts";
import { isSchema1 } from "../oci/media.ts";
import { partsOf } from "../oci/parts.ts";
import type { Manifest } from "../oci/registry.ts";
import { type BlobStore, StoreFull } from "../store/blobs.ts";
import type { FactStore } from "../store/facts.ts";

export interface KeepParts {
  readonly blobs: BlobStore;
  readonly facts: FactStore;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Stored under its digest before anybody is answered: a tag must never lead to a digest that is not there.
 * False: there is no room for it, or it cannot be verified.
 */
export const keepManifest = async (
  { blobs, facts, clock, log }: KeepParts,
  { bytes, descriptor }: Manifest,
): Promise<boolean> => {
  if (isSchema1(descriptor.mediaType)) return false;
  try {
    const stage = await blobs.stage(bytes.length, algorithmOf(descriptor.digest));
    try {
      await stage.append(bytes);
      if (!(await stage.verify(descriptor.digest))) throw new Error(`a manifest is not ${descriptor.digest}`);
      await facts.holdings.hold({ digest: descriptor.digest, size: bytes.length, at: clock(), parts: partsOf(bytes) });
      await stage.commit();
    } finally {
      await stage.discard(new Error("manifest stage is over"));
    }
    return true;
  } catch (error) {
    if (!(error instanceof StoreFull))
      log.error({ digest: descriptor.digest, err: String(error) }, "a manifest could not be kept");
    return false;
  }
};
