// Brings everything that an image is made of, and what is said of it, to the target: parts before what names them, and no tag but those that
// are named for its digests. What is there already is not fetched again, so this is also how a copy that broke off goes on.
import { eachOf } from "../lib/at-once.ts";
import type { Platforms } from "../oci/choice.ts";
import type { Digest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import { isSchema1 } from "../oci/media.ts";
import type { Tag } from "../oci/reference.ts";
import type { Context, Descriptor, Manifest } from "../oci/registry.ts";
import { createdOf } from "./created.ts";
import { type Image, readImage } from "./image.ts";
import type { Place, Run } from "./run.ts";
import type { Signature } from "./signatures.ts";
import type { ImageTelling } from "./telling.ts";

const BLOBS_AT_ONCE = 4;
/** Bytes. */
const MAX_CONFIG = 4 * 1024 * 1024;

export class Copying {
  readonly #run: Run;
  readonly #place: Place;
  readonly #root: Digest;
  readonly #ctx: Context;
  readonly #telling: ImageTelling;

  constructor(run: Run, place: Place, root: Digest, ctx: Context, telling: ImageTelling) {
    this.#run = run;
    this.#place = place;
    this.#root = root;
    this.#ctx = ctx;
    this.#telling = telling;
  }

  /** Throws OciError: what upstream or the target says, STORE_FULL. */
  async copy(): Promise<void> {
    const { platforms = "all" } = this.#run.entry;
    const image = await this.#tree(this.#root, platforms);
    this.#telling.step("signatures");
    const digests = image.manifests.map(({ digest }) => digest);
    await this.#run.signatures.each(this.#place, digests, this.#ctx, (signature) => this.#signature(signature));
  }

  /** Kept before it comes: nothing of it makes way again while the rest is on its way, as what is held by then needs what comes. */
  async #tree(digest: Digest, platforms: Platforms): Promise<Image> {
    const { target, parts } = this.#run;
    const { repo } = this.#place.target;
    if (target.isElsewhere !== true) await parts.facts.mirroring.keep(this.#place.target, this.#root, [digest], parts.clock());
    const image = await readImage(digest, platforms, (one) => readManifest(this.#run, this.#place, one, this.#ctx));
    this.#telling.step("copying");
    for (const { size = 0 } of image.blobs) this.#telling.add(size);
    await eachOf(image.blobs, BLOBS_AT_ONCE, (blob) => this.#blob(blob));
    for (const manifest of image.manifests) {
      if (!(await target.hasManifest(repo, manifest.digest, this.#ctx))) await target.putManifest(repo, manifest, this.#ctx);
    }
    return image;
  }

  async #blob(blob: Descriptor): Promise<void> {
    const { target, source, signal } = this.#run;
    const { repo, target: to } = this.#place;
    signal.throwIfAborted();
    if (await target.hasBlob(to.repo, blob.digest, this.#ctx)) return this.#telling.came(blob.size ?? 0);
    // a manifest may name anything: what another registry has of its own it does not copy before the source has shown that it has it
    if (target.isElsewhere === true) await source.cache.statBlob({ repo, digest: blob.digest }, this.#ctx);
    const open = (ctx: Context) => source.cache.getBlob({ repo, digest: blob.digest }, ctx);
    await target.putBlob(to.repo, blob, open, (bytes) => this.#telling.came(bytes), this.#ctx);
  }

  async #signature({ digest, tag }: Signature): Promise<readonly Digest[]> {
    const { manifests } = await this.#tree(digest, "all");
    if (tag !== undefined) await this.#nameSignature(tag, digest);
    return manifests.map((manifest) => manifest.digest);
  }

  /** Another tag of the same image may be doing the same. */
  async #nameSignature(tag: Tag, digest: Digest): Promise<void> {
    const { target } = this.#run;
    const { repo } = this.#place.target;
    const there = async () => (await target.tag(repo, tag, this.#ctx))?.digest;
    const now = await there();
    if (now === digest || (await target.moveTag(repo, tag, now, { digest }, this.#ctx)) || (await there()) === digest) return;
    throw new OciError("UNAVAILABLE", `${tag} was moved by somebody else, or is held`);
  }
}

/** By its digest, through the cache: there it is held from then on. */
const readManifest = async ({ source }: Run, { repo }: Place, digest: Digest, ctx: Context): Promise<Manifest> => {
  const manifest = await source.cache.getManifest({ repo, reference: digest }, ctx);
  const { descriptor } = manifest;
  if (descriptor.digest !== digest)
    throw new OciError("UPSTREAM_INVALID", `${digest} was asked for, and ${descriptor.digest} came`);
  if (isSchema1(descriptor.mediaType))
    throw new OciError("UNSUPPORTED", "it is of Docker's schema 1, which cannot be verified: it has to be built or pushed anew");
  return manifest;
};

/** When the image says that it was made. Throws what reading it throws. */
export const readCreated = (run: Run, place: Place, root: Digest, ctx: Context): Promise<number | undefined> =>
  createdOf(root, run.entry.platforms ?? "all", {
    manifest: (digest) => readManifest(run, place, digest, ctx),
    config: (digest) => readConfig(run, place, digest, ctx),
  });

const readConfig = async ({ source }: Run, { repo }: Place, digest: Digest, ctx: Context): Promise<Buffer | undefined> => {
  const { body, descriptor } = await source.cache.getBlob({ repo, digest }, ctx);
  if ((descriptor.size ?? 0) > MAX_CONFIG) {
    body.destroy();
    return undefined;
  }
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    // leaving the loop ends the body
    if (length > MAX_CONFIG) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
};
