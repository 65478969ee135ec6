// Signatures and other referrers at a registry that does not list them by itself: in an index under a tag that is named for their subject
// (distribution-spec, "Referrers Tag Schema").
import { algorithmOf, type Digest, digestOf, hexOf } from "../oci/digest.ts";
import { isOciError, OciError } from "../oci/error.ts";
import { parseObject } from "../oci/json.ts";
import type { Pusher } from "../oci/pusher.ts";
import { isTag, type Repository, type Tag } from "../oci/reference.ts";
import { descriptorOf } from "../oci/referrer.ts";
import { type Context, MAX_MANIFEST, type Manifest, type Registry } from "../oci/registry.ts";
import type { Submitted } from "../oci/submitted.ts";

export interface ListedReferrer {
  readonly repo: Repository;
  readonly subject: Digest;
  readonly digest: Digest;
  readonly size: number;
  readonly submitted: Submitted;
}

interface Registries {
  readonly registry: Registry;
  readonly pusher: Pusher;
}

const INDEX = "application/vnd.oci.image.index.v1+json";
/** Tags have no more characters. */
const MAX_TAG = 128;

/** Does nothing where the registry lists them. One at a time for each subject: the list is read and written. */
export const listReferrer = async ({ registry, pusher }: Registries, referrer: ListedReferrer, ctx: Context): Promise<void> => {
  const { repo, subject, digest } = referrer;
  if (await listsByItself(registry, repo, subject, ctx)) return;
  const tag = tagOf(subject);
  const listed = await entriesOf(registry, repo, tag, ctx);
  if (listed.some((entry) => entry["digest"] === digest)) return;
  const manifests = [...listed, descriptorOf(referrer.submitted, digest, referrer.size)];
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }));
  if (bytes.length > MAX_MANIFEST) throw new OciError("TOO_LARGE", `${tag} would have more than ${MAX_MANIFEST} bytes`);
  await pusher.putManifest(repo, tag, indexOf(bytes), ctx);
};

const listsByItself = async (registry: Registry, repo: Repository, digest: Digest, ctx: Context): Promise<boolean> => {
  try {
    await registry.listReferrers({ repo, digest }, ctx);
    return true;
  } catch (error) {
    // what is no list is none (UPSTREAM_INVALID without an answer of its own); an outage says nothing
    if (isOciError(error) && !(error.isOutage && error.upstream !== undefined) && error.code !== "UPSTREAM_UNREACHABLE")
      return false;
    throw error;
  }
};

const entriesOf = async (registry: Registry, repo: Repository, tag: Tag, ctx: Context): Promise<Record<string, unknown>[]> => {
  const index = await registry.getManifest({ repo, reference: tag }, ctx).catch((error: unknown) => {
    if (isOciError(error) && error.isUnknown) return undefined;
    throw error;
  });
  const manifests = index === undefined ? [] : parseObject(index.bytes)?.["manifests"];
  if (!Array.isArray(manifests)) throw new OciError("UPSTREAM_INVALID", `${repo}:${tag} is no list of referrers`);
  return manifests.filter((entry): entry is Record<string, unknown> => typeof entry === "object" && entry !== null);
};

const tagOf = (subject: Digest): Tag => {
  const tag = `${algorithmOf(subject)}-${hexOf(subject)}`.slice(0, MAX_TAG);
  if (!isTag(tag)) throw new OciError("MANIFEST_INVALID", `no tag is named for ${subject}`);
  return tag;
};

const indexOf = (bytes: Buffer): Manifest => ({
  descriptor: { mediaType: INDEX, digest: digestOf(bytes), size: bytes.length },
  bytes,
  provenance: { source: "uncached" },
  metadata: {},
});
