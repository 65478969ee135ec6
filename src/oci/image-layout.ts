// An OCI image layout (image-spec, image-layout.md): which file is what, and what its index says. Pure; what comes from outside is bounded.
import { algorithmOf, type Digest, hexOf, isDigest } from "./digest.ts";
import { parseObject } from "./json.ts";

export const LAYOUT = "oci-layout";
export const LAYOUT_TEXT = '{"imageLayoutVersion":"1.0.0"}';
export const INDEX = "index.json";
/** Beside a layout: what `docker load` and others read that know no layouts. */
export const DOCKER = "manifest.json";
export const INDEX_TYPE = "application/vnd.oci.image.index.v1+json";

/** By which a root is found: what it is called (image-spec, annotations.md), and the same for containerd and Docker. */
export const REF_NAME = "org.opencontainers.image.ref.name";
export const CONTAINERD_NAME = "io.containerd.image.name";

export const blobPath = (digest: Digest): string => `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;

/** `undefined`: it is the place of no blob. */
export const digestAt = (path: string): Digest | undefined => {
  const [, algorithm, hex] = /^blobs\/(sha256|sha512)\/([0-9a-f]+)$/.exec(path) ?? [];
  const digest = `${algorithm}:${hex}`;
  return isDigest(digest) ? digest : undefined;
};

/** What the layout's index names. */
export interface LayoutRoot {
  readonly digest: Digest;
  readonly mediaType: string | undefined;
  /** As the annotations have it, the whole one first: `ghcr.io/acme/app:1`, or `1`. */
  readonly names: readonly string[];
}

/** More is no bundle of anybody's. */
const MAX_ROOTS = 20_000;

/** Throws Error. */
export const rootsIn = (index: Buffer): LayoutRoot[] => {
  const { manifests } = parseObject(index) ?? {};
  if (!Array.isArray(manifests)) throw new Error(`${INDEX} is no index of an image layout`);
  if (manifests.length > MAX_ROOTS) throw new Error(`${INDEX} names more than ${MAX_ROOTS} images`);
  return manifests.map((descriptor, i) => {
    const { digest, mediaType, annotations } = recordOf(descriptor);
    if (typeof digest !== "string" || !isDigest(digest))
      throw new Error(`${INDEX}: entry ${i + 1} has no sha256 or sha512 digest`);
    const notes = recordOf(annotations);
    const names = [notes[CONTAINERD_NAME], notes[REF_NAME]].filter((name) => typeof name === "string" && name.length <= 1_000);
    return { digest, mediaType: typeof mediaType === "string" ? mediaType : undefined, names: [...new Set(names as string[])] };
  });
};

/** Throws Error for a layout of another version. */
export const checkLayout = (text: Buffer): void => {
  const { imageLayoutVersion: version } = parseObject(text) ?? {};
  if (typeof version !== "string" || !version.startsWith("1.")) throw new Error(`${LAYOUT} is of no version that is known here`);
};

const recordOf = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
