// When an image says that it was made: by its annotation, else by its configuration; of an index, that of its first image that is wanted.
import { type Anatomy, anatomyOf } from "../oci/anatomy.ts";
import { MAX_DEPTH, type Platforms, wantedOf } from "../oci/choice.ts";
import { createdOfConfig, createdOfManifest } from "../oci/created.ts";
import type { Digest } from "../oci/digest.ts";

export interface CreatedParts {
  readonly manifest: (digest: Digest) => Promise<{ readonly bytes: Buffer }>;
  /** `undefined`: larger than any configuration is, or not to be had. */
  readonly config: (digest: Digest) => Promise<Uint8Array | undefined>;
}

/** No image is older than Docker; builds that are to be reproducible say 1970, and mean no date at all. */
const EARLIEST = Date.UTC(2013, 0);

/** ms since the epoch; `undefined`: it does not say. Throws what `parts` throw. */
export const createdOf = async (root: Digest, platforms: Platforms, parts: CreatedParts): Promise<number | undefined> => {
  let digest: Digest | undefined = root;
  for (let depth = 0; digest !== undefined && depth <= MAX_DEPTH; depth += 1) {
    const { bytes } = await parts.manifest(digest);
    const annotated = meant(createdOfManifest(bytes));
    if (annotated !== undefined) return annotated;
    const { parts: named } = anatomyOf(bytes);
    const config = named.find(({ role }) => role === "config");
    if (config !== undefined) return dateIn(await parts.config(config.digest));
    digest = firstOf(named, platforms);
  }
  return undefined;
};

const firstOf = (named: Anatomy["parts"], platforms: Platforms): Digest | undefined =>
  wantedOf(
    named.filter(({ role }) => role === "manifest"),
    platforms,
  ).find(({ about }) => about === undefined)?.digest;

const dateIn = (config: Uint8Array | undefined): number | undefined =>
  config === undefined ? undefined : meant(createdOfConfig(config));

const meant = (time: number | undefined): number | undefined => (time !== undefined && time >= EARLIEST ? time : undefined);
