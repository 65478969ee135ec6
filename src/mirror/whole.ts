// Whether everything that is wanted of a tag is there already, and kept: looked up where it is, and asked upstream only for signatures.
import { eachOf } from "../lib/at-once.ts";
import type { Digest } from "../oci/digest.ts";
import { type Context, MAX_MANIFEST } from "../oci/registry.ts";
import { readImage } from "./image.ts";
import type { Place, Run } from "./run.ts";

const AT_ONCE = 8;

class Lacking extends Error {}

/** Throws upstream's outages, and what the stores say. */
export const isWhole = async (run: Run, place: Place, root: Digest, ctx: Context): Promise<boolean> => {
  try {
    const digests = run.target.isElsewhere === true ? await standing(run, place, root, ctx) : await held(run, place, root, ctx);
    await checkSignatures(run, place, root, digests, ctx);
    return true;
  } catch (error) {
    if (error instanceof Lacking) return false;
    throw error;
  }
};

const standing = async ({ target }: Run, place: Place, root: Digest, ctx: Context): Promise<readonly Digest[]> => {
  if (!(await target.hasManifest(place.target.repo, root, ctx))) throw new Lacking();
  return [root];
};

const held = async (run: Run, place: Place, root: Digest, ctx: Context): Promise<readonly Digest[]> => {
  const { target, entry, parts } = run;
  const { repo } = place.target;
  const image = await readImage(root, entry.platforms ?? "all", async (digest) => {
    if (!(await target.hasManifest(repo, digest, ctx))) throw new Lacking();
    const bytes = await parts.blobs.readAll(digest, MAX_MANIFEST);
    if (bytes === undefined) throw new Lacking();
    return { bytes };
  });
  await eachOf(image.blobs, AT_ONCE, async ({ digest }) => {
    if (!(await target.hasBlob(repo, digest, ctx))) throw new Lacking();
  });
  return image.manifests.map(({ digest }) => digest);
};

const checkSignatures = async (run: Run, place: Place, root: Digest, digests: readonly Digest[], ctx: Context): Promise<void> => {
  const { target } = run;
  const kept = await keptFor(run, place, root);
  if (!kept.has(root)) throw new Lacking();
  await run.signatures.each(place, digests, ctx, async ({ digest, tag }) => {
    const isThere =
      tag === undefined
        ? await target.hasManifest(place.target.repo, digest, ctx)
        : (await target.tag(place.target.repo, tag, ctx))?.digest === digest;
    if (!isThere || !kept.has(digest)) throw new Lacking();
    return [digest];
  });
};

/** What does not make way for the sake of this image; of a target elsewhere everything. */
const keptFor = async ({ target, parts }: Run, place: Place, root: Digest): Promise<Pick<ReadonlySet<Digest>, "has">> => {
  if (target.isElsewhere === true) return { has: () => true };
  const kept = await parts.facts.mirroring.kept(place.target);
  return new Set(kept.find((one) => one.root === root)?.digests);
};
