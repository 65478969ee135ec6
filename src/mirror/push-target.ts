// Another registry as a target, pushed to as Layover itself. Its tags cannot be compared and swapped: they are asked for just before they move.
// What goes there is read through the source's cache, so that it is held here on its way, and what broke off goes on from there.
import { LRUCache } from "lru-cache";
import { upTo } from "../lib/lru.ts";
import { Turns } from "../lib/turns.ts";
import type { Digest } from "../oci/digest.ts";
import { isOciError, OciError } from "../oci/error.ts";
import type { Pusher } from "../oci/pusher.ts";
import type { Reference, Repository, Tag } from "../oci/reference.ts";
import type { Context, Manifest, Registry } from "../oci/registry.ts";
import { parseSubmitted } from "../oci/submitted.ts";
import { listReferrer } from "./referrers-tag.ts";
import type { Target } from "./target.ts";

export interface PushTargetParts {
  readonly site: string;
  /** Asked straight. */
  readonly registry: Registry;
  readonly pusher: Pusher;
}

/** Which of its repositories have which blobs, as far as it has said so lately. */
const MAX_KNOWN = 100_000;

export const pushTarget = ({ site, registry, pusher }: PushTargetParts): Target => {
  const homes = new LRUCache<Digest, Repository>(upTo(MAX_KNOWN));
  const turns = new Turns<string>();

  const digestOf = async (repo: Repository, reference: Reference, ctx: Context): Promise<Digest | undefined> =>
    (await orUndefined(registry.statManifest({ repo, reference }, ctx)))?.descriptor.digest;

  const put = async (repo: Repository, reference: Reference, manifest: Manifest, ctx: Context): Promise<boolean> => {
    try {
      return (await pusher.putManifest(repo, reference, manifest, ctx)).isListed;
    } catch (error) {
      throw isOciError(error) && isIncomplete(error, manifest) ? noSparse(site, error) : error;
    }
  };

  /** It is there by its digest: its bytes are as good as those of the source. */
  const putTag = async (repo: Repository, tag: Tag, digest: Digest, ctx: Context): Promise<void> => {
    const manifest = await registry.getManifest({ repo, reference: digest }, ctx);
    await put(repo, tag, manifest, ctx);
  };

  return {
    isElsewhere: true,
    async tag(repo, tag, ctx) {
      const digest = await digestOf(repo, tag, ctx);
      return digest && { digest };
    },
    hasManifest: async (repo, digest, ctx) => (await digestOf(repo, digest, ctx)) === digest,
    async hasBlob(repo, digest, ctx) {
      const isThere = (await orUndefined(registry.statBlob({ repo, digest }, ctx))) !== undefined;
      if (isThere) homes.set(digest, repo);
      return isThere;
    },
    async putBlob(repo, blob, open, told, ctx) {
      const home = homes.get(blob.digest);
      const isMounted = home !== undefined && home !== repo && (await mounted(pusher, repo, blob.digest, home, ctx));
      if (!isMounted) await pusher.upload(repo, blob, open, told, ctx);
      homes.set(blob.digest, repo);
    },
    async putManifest(repo, manifest, ctx) {
      const { digest, mediaType } = manifest.descriptor;
      const isListed = await put(repo, digest, manifest, ctx);
      const submitted = parseSubmitted(manifest.bytes, mediaType);
      const { subject } = submitted;
      if (subject === undefined || isListed) return;
      await turns.take(`${repo}@${subject}`, () =>
        listReferrer({ registry, pusher }, { repo, subject, digest, size: manifest.bytes.length, submitted }, ctx),
      );
    },
    async moveTag(repo, tag, from, { digest }, ctx) {
      if ((await digestOf(repo, tag, ctx)) !== from) return false;
      if (from !== digest) await putTag(repo, tag, digest, ctx);
      return true;
    },
    backup: (repo, tag, { digest }, ctx) =>
      turns.take(`${repo}:${tag}`, async () => {
        if ((await digestOf(repo, tag, ctx)) !== undefined) return false;
        await putTag(repo, tag, digest, ctx);
        return true;
      }),
    removeBackup: (repo, tag, ctx) => pusher.deleteTag(repo, tag, ctx),
  };
};

const orUndefined = async <T>(question: Promise<T>): Promise<T | undefined> => {
  try {
    return await question;
  } catch (error) {
    if (isOciError(error) && error.isUnknown) return undefined;
    throw error;
  }
};

/** A registry that refuses to mount is given the bytes. */
const mounted = (pusher: Pusher, repo: Repository, digest: Digest, from: Repository, ctx: Context): Promise<boolean> =>
  pusher.mount(repo, digest, from, ctx).catch((error: unknown) => {
    if (isOciError(error) && !error.isOutage) return false;
    throw error;
  });

/** 400 and 404 are what registries answer to an index whose children they have not. */
const isIncomplete = (error: OciError, { bytes }: Manifest): boolean =>
  (error.status === 400 || error.status === 404) && /"manifests"\s*:/.test(bytes.toString());

const noSparse = (site: string, cause: OciError): OciError =>
  new OciError(
    "MANIFEST_BLOB_UNKNOWN",
    `${site} does not take an index of which some platforms were left out (${cause.message}): mirror all of them, or to a hosted site`,
    { cause },
  );
