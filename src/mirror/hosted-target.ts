// A hosted site as a target: written as a push would, by Layover itself, past its users. A blob that is held already is linked without a byte
// copied, and only once the source has shown that it has it: a manifest may name anything.
import { anatomyOf } from "../oci/anatomy.ts";
import type { Digest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import type { Repository } from "../oci/reference.ts";
import type { Blob, Context } from "../oci/registry.ts";
import { parseSubmitted } from "../oci/submitted.ts";
import type { Flights } from "../registry/flights.ts";
import { storeManifest } from "../registry/keep-manifest.ts";
import { linkOf } from "../registry/local.ts";
import { referrerOf } from "../registry/put-manifest.ts";
import { refusingFull } from "../registry/upload.ts";
import type { BlobStore } from "../store/blobs.ts";
import { type LocalTagParts, localTags } from "./local-tags.ts";
import { readOut } from "./read-out.ts";
import type { Target } from "./target.ts";
import { letGoOf } from "./unhost.ts";

export interface HostedTargetParts extends LocalTagParts {
  readonly blobs: BlobStore;
  readonly flights: Pick<Flights, "get">;
  /** What is put into a repository and taken out of it at once ends as if it had been one after the other, pushes included. */
  readonly inTurn: <T>(repo: Repository, work: () => Promise<T>) => Promise<T>;
}

/** What was there has had to make way before it was anybody's: it is fetched once more. */
const TRIES = 2;

export const hostedTarget = (parts: HostedTargetParts): Target => {
  const { site, blobs, flights, facts, clock, inTurn } = parts;
  const { hosting } = facts;
  const local = { site: { host: site }, blobs, facts };
  const tags = localTags(parts);
  const hasBlob = async (repo: Repository, digest: Digest): Promise<boolean> =>
    (await linkOf(local, repo, digest)) !== undefined && (await blobs.stat(digest)) !== undefined;
  const hasManifest = async (repo: Repository, digest: Digest): Promise<boolean> =>
    (await linkOf(local, repo, digest))?.mediaType !== undefined && (await blobs.stat(digest)) !== undefined;

  /** False: its bytes are not there any more. */
  const fetchAndLink = async (repo: Repository, digest: Digest, { body }: Blob, came: Told, ctx: Context): Promise<boolean> => {
    if ((await blobs.stat(digest)) === undefined) await readOut(body, came, ctx.signal);
    else body.destroy();
    // its readers have the last byte before it has its name
    await flights.get(digest)?.done;
    return (await hosting.host({ site, repo, digest }, { mediaType: undefined, at: clock() })).length === 0;
  };

  return {
    ...tags,
    hasManifest,
    hasBlob,
    async putBlob(repo, { digest }, open, came, ctx) {
      for (let tries = 0; tries < TRIES; tries += 1) {
        const blob = await open(ctx);
        if (await fetchAndLink(repo, digest, blob, came, ctx)) return;
      }
      throw new OciError("STORE_FULL", `${digest} could not be kept: there is no room for it`);
    },
    async putManifest(repo, { bytes, descriptor: { digest, mediaType } }) {
      const submitted = parseSubmitted(bytes, mediaType);
      await refusingFull(storeManifest(blobs, bytes, digest, submitted.parts));
      const missing = await inTurn(repo, () =>
        hosting.host(
          { site, repo, digest },
          {
            mediaType: submitted.mediaType,
            at: clock(),
            needs: withoutChildren(submitted.needs, bytes),
            referrer: referrerOf(submitted, digest, bytes.length),
          },
        ),
      );
      if (missing.length > 0)
        throw new OciError(
          "MANIFEST_BLOB_UNKNOWN",
          `${repo} has not all that ${digest} names: ${missing.slice(0, 10).join(", ")}`,
        );
    },
    /** What its tag stands for is there, also where somebody has deleted it meanwhile. */
    moveTag: (repo, tag, from, to, ctx) =>
      inTurn(repo, async () => {
        if (await hasManifest(repo, to.digest)) return tags.moveTag(repo, tag, from, to, ctx);
        throw new OciError("MANIFEST_UNKNOWN", `${to.digest} was deleted from ${repo} while it was synced`);
      }),
    backup: (repo, tag, to, ctx) =>
      inTurn(repo, async () => {
        if (await hasManifest(repo, to.digest)) return tags.backup(repo, tag, to, ctx);
        throw new OciError("MANIFEST_UNKNOWN", `${to.digest} is not in ${repo} any more: it gets no backup name`);
      }),
    letGo: (repo, digests) => inTurn(repo, () => letGoOf(local, repo, digests, clock())),
  };
};

type Told = (bytes: number) => void;

/** Of an index those that were left out are not missing. */
const withoutChildren = (needs: readonly Digest[], bytes: Buffer): readonly Digest[] => {
  const children = new Set(anatomyOf(bytes).parts.flatMap(({ role, digest }) => (role === "manifest" ? [digest] : [])));
  return needs.filter((digest) => !children.has(digest));
};
