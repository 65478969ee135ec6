// What a bundle says that it holds: its roots, and below them manifests and blobs as far as they are in it. Every manifest is verified before it is believed.
import { anatomyOf } from "../oci/anatomy.ts";
import { algorithmOf, type Digest, digestOf } from "../oci/digest.ts";
import { blobPath, checkLayout, DOCKER, INDEX, LAYOUT, type LayoutRoot, rootsIn } from "../oci/image-layout.ts";
import { MAX_MANIFEST } from "../oci/registry.ts";
import { parseSubmitted } from "../oci/submitted.ts";
import { type Bundle, readSmall } from "./read.ts";

export interface BundledManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  /** That the bundle has. */
  readonly children: readonly Digest[];
  /** Config and layers. */
  readonly blobs: readonly Digest[];
  /** Children that it has not: platforms that were left out. */
  readonly lacks: readonly Digest[];
  readonly subject: Digest | undefined;
}

export interface Contents {
  readonly roots: readonly LayoutRoot[];
  readonly manifests: ReadonlyMap<Digest, BundledManifest>;
  /** Bytes of all that is below the roots, manifests too. */
  readonly sizes: ReadonlyMap<Digest, number>;
}

const MAX_MANIFESTS = 100_000;
const MAX_DEPTH = 5;

/** Throws Error, with what is wrong with it. */
export const contentsOf = async (bundle: Bundle): Promise<Contents> => {
  await refuseDocker(bundle);
  checkLayout(await readSmall(bundle, LAYOUT, 1_024));
  const roots = rootsIn(await readSmall(bundle, INDEX, MAX_MANIFEST));
  if (roots.length === 0) throw new Error("the bundle is empty");
  const looking = new Looking(bundle);
  for (const { digest, mediaType } of roots) await looking.manifest(digest, mediaType, 0);
  return { roots, manifests: looking.manifests, sizes: looking.sizes };
};

/** Before Docker 25 an image was saved without its manifest: what would be made of it had another digest than the registry's. */
const refuseDocker = async (bundle: Bundle): Promise<void> => {
  if ((await bundle.size(LAYOUT)) !== undefined || (await bundle.size(DOCKER)) === undefined) return;
  throw new Error(
    "this is an archive of `docker save`, which has no manifests: `skopeo copy docker-archive:FILE oci-archive:BUNDLE:ghcr.io/acme/app:1` makes a bundle of it",
  );
};

class Looking {
  readonly manifests = new Map<Digest, BundledManifest>();
  readonly sizes = new Map<Digest, number>();
  readonly #bundle: Bundle;

  constructor(bundle: Bundle) {
    this.#bundle = bundle;
  }

  async manifest(digest: Digest, named: string | undefined, depth: number): Promise<void> {
    if (this.manifests.has(digest)) return;
    if (depth > MAX_DEPTH) throw new Error(`${digest} is below more than ${MAX_DEPTH} others`);
    if (this.manifests.size >= MAX_MANIFESTS) throw new Error(`the bundle has more than ${MAX_MANIFESTS} manifests`);
    const bytes = await readSmall(this.#bundle, blobPath(digest), MAX_MANIFEST);
    if (digestOf(bytes, algorithmOf(digest)) !== digest) throw new Error(`what the bundle has as ${digest} is something else`);
    this.sizes.set(digest, bytes.length);
    const { mediaType: own, parts } = anatomyOf(bytes);
    const { mediaType, needs, subject } = parseSubmitted(bytes, own ?? named);
    const types = new Map(parts.flatMap((part) => (part.role === "manifest" ? [[part.digest, part.mediaType] as const] : [])));
    const children: Digest[] = [];
    const lacks: Digest[] = [];
    const blobs: Digest[] = [];
    for (const need of needs) {
      const size = await this.#bundle.size(blobPath(need));
      if (!types.has(need)) blobs.push(this.#blob(need, size, digest));
      else if (size === undefined) lacks.push(need);
      else children.push(need);
    }
    if (lacks.length > 0 && children.length === 0)
      throw new Error(`the bundle has nothing of what ${digest} names: it is not whole`);
    this.manifests.set(digest, { digest, mediaType, children, blobs, lacks, subject });
    for (const child of children) await this.manifest(child, types.get(child), depth + 1);
  }

  #blob(digest: Digest, size: number | undefined, of: Digest): Digest {
    if (size === undefined) throw new Error(`the bundle has no ${digest}, which ${of} consists of: it is not whole`);
    this.sizes.set(digest, size);
    return digest;
  }
}
