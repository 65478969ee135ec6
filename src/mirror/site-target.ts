// The site itself as a target: what is read through its cache is held and linked by that, so there is nothing left to do but to see that it
// is there, and to move the tag. Its stores and links stay the only way in.
import type { Clock } from "../lib/clock.ts";
import type { Digest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import type { Repository } from "../oci/reference.ts";
import type { Flights } from "../registry/flights.ts";
import { told } from "../registry/told.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { FactStore } from "../store/facts.ts";
import { localTags } from "./local-tags.ts";
import { readOut } from "./read-out.ts";
import type { Target } from "./target.ts";

export interface SiteTargetParts {
  readonly site: string;
  readonly blobs: BlobStore;
  readonly flights: Pick<Flights, "get">;
  readonly facts: FactStore;
  readonly clock: Clock;
}

export const siteTarget = ({ site, blobs, flights, facts, clock }: SiteTargetParts): Target => {
  const isHeld = async (digest: Digest) => (await blobs.stat(digest)) !== undefined;
  const linkOf = async (repo: Repository, digest: Digest) => told(await facts.link({ site, repo, digest }));
  const hasManifest = async (repo: Repository, digest: Digest) =>
    (await linkOf(repo, digest))?.mediaType !== undefined && (await isHeld(digest));
  const hasBlob = async (repo: Repository, digest: Digest) =>
    (await linkOf(repo, digest)) !== undefined && (await isHeld(digest));
  return {
    ...localTags({ site, facts, clock }),
    hasManifest,
    hasBlob,
    async putBlob(repo, { digest }, open, came, ctx) {
      const before = await blobs.stat(digest);
      const { body, provenance } = await open(ctx);
      if (before !== undefined) body.destroy();
      else await readOut(body, came, ctx.signal);
      // its readers have the last byte before it has its name
      await flights.get(digest)?.done;
      if (provenance.source === "uncached" || !(await hasBlob(repo, digest))) throw unkept(digest);
    },
    async putManifest(repo, { descriptor: { digest } }) {
      if (!(await hasManifest(repo, digest))) throw unkept(digest);
    },
  };
};

const unkept = (digest: Digest): OciError => new OciError("STORE_FULL", `${digest} could not be kept: there is no room for it`);
