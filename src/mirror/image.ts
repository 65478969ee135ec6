// What an image is made of, from its manifests down, as far as it is wanted: read by digest, whoever has it.
import { eachOf } from "../lib/at-once.ts";
import { anatomyOf, MAX_PARTS, type NamedPart } from "../oci/anatomy.ts";
import { isFetchable, MAX_DEPTH, noneOf, type Platforms, wantedOf } from "../oci/choice.ts";
import type { Digest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import type { Descriptor, Manifest } from "../oci/registry.ts";

const AT_ONCE = 4;
const MAX_MANIFESTS = 2_000;
const MAX_BLOBS = 50_000;
const BLOB_TYPE = "application/octet-stream";

export interface Bytes {
  readonly bytes: Buffer;
}

export interface Image<Read extends Bytes = Manifest> {
  /** Those that are named before what names them: the image's own is the last. */
  readonly manifests: readonly (Read & { readonly digest: Digest })[];
  /** Each once. */
  readonly blobs: readonly Descriptor[];
}

interface Node<Read> {
  readonly depth: number;
  readonly manifest: Read & { readonly digest: Digest };
}

/** Throws what `read` throws; MANIFEST_UNKNOWN where no platform is left, TOO_LARGE for what is no image any more. */
export const readImage = async <Read extends Bytes>(
  root: Digest,
  platforms: Platforms,
  read: (digest: Digest) => Promise<Read>,
): Promise<Image<Read>> => {
  const nodes = new Map<Digest, Node<Read>>();
  const blobs = new Map<Digest, Descriptor>();
  let level: readonly Digest[] = [root];
  for (let depth = 0; level.length > 0; depth += 1) {
    const next = new Set<Digest>();
    await eachOf(level, AT_ONCE, async (digest) => {
      const manifest = await read(digest);
      nodes.set(digest, { depth, manifest: { ...manifest, digest } });
      const parts = wholeAnatomy(digest, manifest.bytes);
      for (const part of parts.filter(isFetchable)) blobs.set(part.digest, descriptorOf(part));
      for (const child of childrenOf(parts, platforms)) next.add(child.digest);
    });
    // named on two levels it stands on the lower one
    level = [...next];
    if (level.length > 0 && depth === MAX_DEPTH) throw new OciError("TOO_LARGE", `more than ${MAX_DEPTH} indexes in one another`);
    if (nodes.size + level.length > MAX_MANIFESTS || blobs.size > MAX_BLOBS)
      throw new OciError("TOO_LARGE", `more than ${MAX_MANIFESTS} manifests, or ${MAX_BLOBS} blobs`);
  }
  const ordered = [...nodes.values()].toSorted((a, b) => b.depth - a.depth);
  return { manifests: ordered.map(({ manifest }) => manifest), blobs: [...blobs.values()] };
};

const wholeAnatomy = (digest: Digest, bytes: Buffer): readonly NamedPart[] => {
  const { parts } = anatomyOf(bytes);
  if (parts.length >= MAX_PARTS) throw new OciError("TOO_LARGE", `${digest} names ${MAX_PARTS} others or more`);
  return parts;
};

const childrenOf = (parts: readonly NamedPart[], platforms: Platforms): readonly NamedPart[] => {
  const children = parts.filter(({ role }) => role === "manifest");
  const wanted = wantedOf(children, platforms);
  if (children.length > 0 && wanted.length === 0) throw new OciError("MANIFEST_UNKNOWN", noneOf(children, platforms));
  return wanted;
};

const descriptorOf = ({ digest, mediaType = BLOB_TYPE, size }: NamedPart): Descriptor => ({ mediaType, digest, size });
