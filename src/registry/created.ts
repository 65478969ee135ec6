// When an image says that it was made, by what is held of it.
import { anatomyOf } from "../oci/anatomy.ts";
import { createdOfConfig, createdOfManifest } from "../oci/created.ts";
import type { Digest } from "../oci/digest.ts";
import { MAX_MANIFEST } from "../oci/registry.ts";
import type { BlobStore } from "../store/blobs.ts";

/** An index, and the images in it. */
const MAX_DEPTH = 1;
/** Of an index these many are looked at, until one says it. */
const MAX_CHILDREN = 20;

/** By its annotation, else by its configuration, or that of the first of its images that are held. ms since the epoch. */
export const createdOf = async (blobs: Pick<BlobStore, "readAll">, digest: Digest, depth = 0): Promise<number | undefined> => {
  const bytes = await blobs.readAll(digest, MAX_MANIFEST);
  if (bytes === undefined) return undefined;
  const annotated = createdOfManifest(bytes);
  if (annotated !== undefined) return annotated;
  const { parts } = anatomyOf(bytes);
  const config = parts.find(({ role }) => role === "config");
  if (config !== undefined) {
    const configured = await blobs.readAll(config.digest, MAX_MANIFEST);
    return configured === undefined ? undefined : createdOfConfig(configured);
  }
  if (depth === MAX_DEPTH) return undefined;
  for (const { digest: child } of parts.filter(({ role }) => role === "manifest").slice(0, MAX_CHILDREN)) {
    const created = await createdOf(blobs, child, depth + 1);
    if (created !== undefined) return created;
  }
  return undefined;
};
