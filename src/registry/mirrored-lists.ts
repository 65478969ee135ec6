// Tag lists and referrers where only what is mirrored is to be had: of what is held here, after the same right as any read. And where all else
// is cached, the names of backups, which upstream does not know, among its tags.
import { type Digest, isDigest } from "../oci/digest.ts";
import { parseObject } from "../oci/json.ts";
import type { Repository, Tag } from "../oci/reference.ts";
import { descriptorOf } from "../oci/referrer.ts";
import { type Context, type Listing, MAX_MANIFEST, type ReferrersQuery, type Registry, type TagQuery } from "../oci/registry.ts";
import { requestPath } from "../oci/request.ts";
import { parseSubmitted } from "../oci/submitted.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { FactStore } from "../store/facts.ts";
import type { TagRow } from "../store/inventory.ts";
import { INDEX, listing, pageOf } from "./local.ts";
import type { Policy } from "./policy.ts";

import type { Rights } from "./rights.ts";
import { stays } from "./staying.ts";
import { unlessAway } from "./unless-away.ts";
import type { Health } from "./witness.ts";

export interface MirroredListsParts {
  readonly site: { readonly host: string };
  readonly policy: Policy;
  readonly upstream: Registry;
  readonly rights: Pick<Rights, "standing">;
  readonly health: Health;
  readonly blobs: Pick<BlobStore, "readAll">;
  readonly facts: FactStore;
}

type Lists = Pick<Registry, "listTags" | "listReferrers">;

/** Of repositories where what is missing is refused; all others are `inner`'s. */
export const mirroredLists = (inner: Lists, parts: MirroredListsParts): Lists => {
  const isRefusing = (repo: Repository) => parts.policy.ofDigests(repo).onMissing === "refuse";
  return {
    async listTags(query, ctx) {
      if (!isRefusing(query.repo)) return inner.listTags(query, ctx);
      await mayRead(parts, query.repo, ctx);
      return heldTags(parts, query);
    },
    async listReferrers(query, ctx) {
      if (!isRefusing(query.repo)) return inner.listReferrers(query, ctx);
      await mayRead(parts, query.repo, ctx);
      return heldReferrers(parts, query);
    },
  };
};

/** Throws what upstream says to who may not, and its outage where no right is known. */
const mayRead = async (parts: MirroredListsParts, repo: Repository, ctx: Context): Promise<void> => {
  const standing = await parts.rights.standing(repo, ctx.credential);
  if (standing === "live") return;
  const ask = (c: Context) => parts.upstream.listTags({ repo, n: 1 }, c);
  await (standing === "stale" ? unlessAway(parts, { repo, standing }, ctx, ask) : ask(ctx));
};

const heldTags = async (parts: MirroredListsParts, { repo, n, last }: TagQuery): Promise<Listing> => {
  const { names, next } = await pageOf(n, (limit) => givenTags(parts, repo, last as Tag | undefined, limit));
  const path = next && requestPath({ kind: "tags", repo, n: names.length, last: next });
  return listing("application/json", { name: repo, tags: names }, { ...(path !== undefined && { next: path }) });
};

const ROWS = 500;

/** By name, those that a sync, a hold or a pin keeps: what only came by being pulled is none of the mirror's. */
const givenTags = async (parts: MirroredListsParts, repo: Repository, last: Tag | undefined, limit: number): Promise<Tag[]> => {
  const { facts, site, policy } = parts;
  const found: Tag[] = [];
  for (let after = last; ; ) {
    const rows: TagRow[] = await facts.inventory.tags(site.host, repo, { after, limit: ROWS });
    found.push(...rows.filter((row) => stays(row, policy.of(repo, row.tag))).map(({ tag }) => tag));
    after = rows.at(-1)?.tag;
    if (rows.length < ROWS || found.length >= limit) return found.slice(0, limit);
  }
};

/** Of one answer: no image has as many, and each is read. */
const MOST_REFERRERS = 500;
const MAX_LOOKED_AT = 200;

const heldReferrers = async (parts: MirroredListsParts, { repo, digest, artifactType }: ReferrersQuery): Promise<Listing> => {
  const manifests: object[] = [];
  for (const candidate of await keptBeside(parts, repo, digest)) {
    const referrer = await referrerTo(parts, repo, candidate, digest);
    if (referrer !== undefined && (artifactType === undefined || referrer.artifactType === artifactType))
      manifests.push(referrer.descriptor);
    if (manifests.length === MOST_REFERRERS) break;
  }
  const filters = artifactType === undefined ? {} : { filtersApplied: "artifactType" };
  return listing(INDEX, { schemaVersion: 2, mediaType: INDEX, manifests }, filters);
};

/** What is kept with the images that the digest is, or is in. */
const keptBeside = async ({ facts, site }: MirroredListsParts, repo: Repository, digest: Digest): Promise<Set<Digest>> => {
  const beside = new Set<Digest>();
  const seen = new Set<string>();
  for (const one of [digest, ...(await facts.holdings.neededBy(digest, MAX_LOOKED_AT))]) {
    for (const { tag, root } of await facts.mirroring.keptFor({ site: site.host, repo, digest: one })) {
      if (seen.has(`${tag} ${root}`)) continue;
      seen.add(`${tag} ${root}`);
      const kept = await facts.mirroring.kept({ site: site.host, repo, tag });
      for (const other of kept.find((each) => each.root === root)?.digests ?? []) beside.add(other);
    }
  }
  beside.delete(digest);
  return beside;
};

const referrerTo = async ({ facts, site, blobs }: MirroredListsParts, repo: Repository, digest: Digest, subject: Digest) => {
  const mediaType = (await facts.link({ site: site.host, repo, digest }))?.mediaType;
  const bytes = mediaType === undefined ? undefined : await blobs.readAll(digest, MAX_MANIFEST);
  if (bytes === undefined || subjectIn(bytes) !== subject) return undefined;
  const submitted = parseSubmitted(bytes, mediaType);
  return { artifactType: submitted.artifactType, descriptor: descriptorOf(submitted, digest, bytes.length) };
};

const subjectIn = (bytes: Buffer): string | undefined => {
  const subject = parseObject(bytes)?.["subject"];
  const digest = typeof subject === "object" && subject !== null && "digest" in subject ? subject.digest : undefined;
  return typeof digest === "string" && isDigest(digest) ? digest : undefined;
};

/** Where the list is whole: in a page of several nobody knows where they belong, and upstream's own names go before ours. */
export const withBackups = (inner: Lists, { facts, site }: Pick<MirroredListsParts, "facts" | "site">): Lists => ({
  ...inner,
  async listTags(query, ctx) {
    const answer = await inner.listTags(query, ctx);
    if (query.n !== undefined || query.last !== undefined || answer.metadata.next !== undefined) return answer;
    const backups = await backupsOf(facts, site.host, query.repo);
    const document = backups.length === 0 ? undefined : parseObject(answer.bytes);
    const tags: unknown = document?.["tags"] ?? [];
    if (document === undefined || !Array.isArray(tags)) return answer;
    const all = [...new Set([...tags.filter((tag) => typeof tag === "string"), ...backups])].sort();
    return { ...answer, bytes: Buffer.from(JSON.stringify({ ...document, tags: all })) };
  },
});

/** So many tags of a repository are looked through. */
const MOST_ROWS = 10_000;

const backupsOf = async (facts: FactStore, site: string, repo: Repository): Promise<Tag[]> => {
  const found: Tag[] = [];
  let after: Tag | undefined;
  for (let rows = 0; rows < MOST_ROWS; rows += ROWS) {
    const page: TagRow[] = await facts.inventory.tags(site, repo, { after, limit: ROWS });
    found.push(...page.filter(({ hold }) => hold?.kind === "backup").map(({ tag }) => tag));
    after = page.at(-1)?.tag;
    if (page.length < ROWS) break;
  }
  return found;
};
