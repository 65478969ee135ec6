// The write side of a hosted site over the stores: bytes first, then the link that makes them the repository's, then the tag that
// names them; each on the disk before the next. Who may write, and what, is decided around it.
import type { Clock } from "../lib/clock.ts";
import { Turns } from "../lib/turns.ts";
import type { BlobName, Hosted, LastChunk, TagName } from "../oci/hosted.ts";
import type { Repository } from "../oci/reference.ts";
import type { Context } from "../oci/registry.ts";
import type { FactStore } from "../store/facts.ts";
import { moveTag, refuseTaking, untag } from "./hosted-tags.ts";
import { type LocalParts, linkOf, listing, pageOf, unknown } from "./local.ts";
import type { Policy } from "./policy.ts";
import { putManifest } from "./put-manifest.ts";
import { receiving } from "./receive.ts";
import { goneAgain } from "./upload.ts";
import type { Uploads } from "./uploads.ts";

export interface HostedParts extends LocalParts {
  readonly facts: FactStore;
  readonly policy: Policy;
  readonly uploads: Uploads;
  /** Whose uploads a client may go on with. */
  readonly subjectOf: (ctx: Context) => string;
  readonly clock: Clock;
  /** What is put and deleted of one repository at once ends as if it had been one after the other; shared with whoever else writes to it. */
  readonly turns?: Turns<Repository>;
}

export const hosted = (parts: HostedParts): Hosted => {
  const { site, facts, blobs, uploads, subjectOf, policy, clock, turns = new Turns() } = parts;
  const { hosting } = facts;
  const receive = receiving();
  const find = ({ repo, id }: { repo: Repository; id: string }, ctx: Context) =>
    uploads.find(id, { repo, subject: subjectOf(ctx) });
  /** False: its bytes have had to make way already. */
  const link = async ({ repo, digest }: BlobName): Promise<boolean> =>
    (await hosting.host({ site: site.host, repo, digest }, { mediaType: undefined, at: clock() })).length === 0;

  return {
    openUpload: async ({ repo, algorithm }, ctx) =>
      uploads.open({ repo, algorithm, subject: subjectOf(ctx), client: ctx.client }).state,
    uploadStatus: async (query, ctx) => find(query, ctx).state,
    async appendUpload(chunk, ctx) {
      const upload = find(chunk, ctx);
      await upload.append(chunk);
      return upload.state;
    },
    async finishUpload(chunk: LastChunk, ctx) {
      await find(chunk, ctx).finish(chunk, chunk.digest);
      if (!(await link(chunk))) throw goneAgain();
    },
    cancelUpload: async (query, ctx) => find(query, ctx).cancel(),
    async mountBlob({ repo, digest, from }) {
      if ((await blobs.stat(digest)) === undefined) return false;
      if (!(await isWithin(parts, digest, from))) return false;
      return link({ repo, digest });
    },
    async putManifest({ body, ...manifest }, { client }) {
      // before its turn: who sends slowly keeps nobody else waiting
      const bytes = await receive(body, client);
      return turns.take(manifest.repo, () => putManifest(parts, { ...manifest, bytes }));
    },
    deleteManifest: ({ repo, digest }) =>
      turns.take(repo, async () => {
        if ((await linkOf(parts, repo, digest))?.mediaType === undefined) throw unknown("MANIFEST_UNKNOWN", repo, digest);
        await untag(parts, repo, digest);
        await hosting.unhost({ site: site.host, repo, digest });
      }),
    deleteTag: ({ repo, tag }: TagName) =>
      turns.take(repo, async () => {
        const fact = await facts.tag({ site: site.host, repo, tag });
        if (fact?.digest === undefined) throw unknown("MANIFEST_UNKNOWN", repo, tag);
        await moveTag(parts, repo, tag, undefined);
      }),
    deleteBlob: ({ repo, digest }) =>
      turns.take(repo, async () => {
        const held = await linkOf(parts, repo, digest);
        if (held === undefined || held.mediaType !== undefined) throw unknown("BLOB_UNKNOWN", repo, digest);
        await refuseTaking(parts, repo, digest);
        await hosting.unhost({ site: site.host, repo, digest });
      }),
    async listRepositories({ n, last }) {
      const page = await pageOf(n, (limit) => hosting.repositories(site.host, { after: last as Repository | undefined, limit }));
      const repositories = page.names.filter((repo) => policy.refusal(repo) === undefined);
      const query = page.next && new URLSearchParams({ n: String(page.names.length), last: page.next });
      return listing("application/json", { repositories }, query ? { next: `/v2/_catalog?${query.toString()}` } : {});
    },
  };
};

const HOLDERS = 100;

/** Whether the blob may be taken from there; what the site's rules deny to everybody is no source either. */
const isWithin = async (parts: HostedParts, digest: BlobName["digest"], from: Repository | undefined): Promise<boolean> => {
  const { facts, site, policy } = parts;
  const sources = from === undefined ? await facts.hosting.holders(site.host, digest, { limit: HOLDERS }) : [from];
  for (const repo of sources)
    if (policy.refusal(repo) === undefined && (await linkOf(parts, repo, digest)) !== undefined) return true;
  return false;
};
