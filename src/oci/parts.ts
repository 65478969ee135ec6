// What a manifest names: configuration, layers, child manifests. From its own bytes, which can be forged: good for knowing what
// belongs together, never for what anybody may read (image-spec, manifest.md and image-index.md).

import { type Digest, isDigest } from "./digest.ts";
import { parseObject } from "./json.ts";

/** No image has as many; whoever writes more is not believed further. */
export const MAX_PARTS = 4_096;

/** Each once, in the order in which they are named. Empty for what is no JSON object. What it refers to by `subject` is no part of it. */
export const partsOf = (manifest: Uint8Array): Digest[] => partsIn(parseObject(manifest) ?? {});

/** Of one that is parsed already. */
export const partsIn = ({ config, layers, blobs, manifests }: Readonly<Record<string, unknown>>): Digest[] => {
  const descriptors = [config, ...listOf(manifests), ...listOf(layers), ...listOf(blobs)];
  const digests = descriptors.flatMap((descriptor) => digestOf(descriptor));
  return [...new Set(digests)].slice(0, MAX_PARTS);
};

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

const digestOf = (descriptor: unknown): Digest[] => {
  if (typeof descriptor !== "object" || descriptor === null || !("digest" in descriptor)) return [];
  return typeof descriptor.digest === "string" && isDigest(descriptor.digest) ? [descriptor.digest] : [];
};
