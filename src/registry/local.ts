// What a hosted site holds, to be read: there is no upstream, so what is not held and linked does not exist. Who may read is decided
// around it. Only hosted links count: what the same name was as another site's mirror gives nobody anything here.

import type { Digest } from "../oci/digest.ts";
import { type ErrorCode, OciError } from "../oci/error.ts";
import { resolveRange } from "../oci/range.ts";
import { isDigestReference, type Reference, type Repository } from "../oci/reference.ts";
import {
  type BlobQuery,
  type BlobStat,
  type Listing,
  MAX_MANIFEST,
  type Manifest,
  type ManifestQuery,
  type Provenance,
  type ReferrersQuery,
  type Registry,
  type TagQuery,
} from "../oci/registry.ts";
import { requestPath } from "../oci/request.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { FactStore, Link } from "../store/facts.ts";
import { BLOB_TYPE } from "./witness.ts";

export interface LocalParts {
  readonly site: { readonly host: string };
  readonly blobs: BlobStore;
  readonly facts: FactStore;
}

const HIT: Provenance = { source: "hit" };
export const INDEX = "application/vnd.oci.image.index.v1+json";
/** Entries of one page, where the client wants no fewer. */
const PAGE = 1_000;
/** Of one page of referrers: entries, and bytes; and entries that are read at once. */
const REFERRERS = 500;
const REFERRERS_BYTES = 2 * 1024 * 1024;
const AT_ONCE = 20;

export const localRegistry = (parts: LocalParts): Registry => {
  const { blobs } = parts;
  const stat = async ({ repo, digest }: BlobQuery): Promise<BlobStat> => {
    const held = (await linkOf(parts, repo, digest)) && (await blobs.stat(digest));
    if (held === undefined) throw unknown("BLOB_UNKNOWN", repo, digest);
    return { descriptor: { mediaType: BLOB_TYPE, digest, size: held.size }, provenance: HIT, metadata: {} };
  };
  return {
    statBlob: stat,
    async getBlob(query) {
      const found = await stat(query);
      const range = query.range === undefined ? undefined : resolveRange(query.range, found.descriptor.size!);
      const body = await blobs.read(query.digest, range);
      if (body === undefined) throw unknown("BLOB_UNKNOWN", query.repo, query.digest);
      return { ...found, range, body };
    },
    getManifest: (query) => manifest(parts, query),
    statManifest: (query) => manifest(parts, query),
    listTags: (query) => tagsOf(parts, query),
    listReferrers: (query) => referrersOf(parts, query),
  };
};

export const linkOf = async ({ facts, site }: LocalParts, repo: Repository, digest: Digest): Promise<Link | undefined> => {
  const link = await facts.link({ site: site.host, repo, digest });
  return link?.hostedAt === undefined ? undefined : link;
};

export const unknown = (code: ErrorCode, repo: Repository, reference: string): OciError =>
  new OciError(code, `${repo} has no ${reference.slice(0, 200)}`);

const manifest = async (parts: LocalParts, { repo, reference }: ManifestQuery): Promise<Manifest> => {
  const digest = await digestOf(parts, repo, reference);
  const mediaType = digest && (await linkOf(parts, repo, digest))?.mediaType;
  const bytes = digest && mediaType && (await parts.blobs.readAll(digest, MAX_MANIFEST));
  if (!bytes || !mediaType || !digest) throw unknown("MANIFEST_UNKNOWN", repo, reference);
  return { descriptor: { mediaType, digest, size: bytes.length }, bytes, provenance: HIT, metadata: {} };
};

const digestOf = async ({ facts, site }: LocalParts, repo: Repository, reference: Reference): Promise<Digest | undefined> =>
  isDigestReference(reference) ? reference : (await facts.tag({ site: site.host, repo, tag: reference }))?.digest;

const tagsOf = async ({ facts, site }: LocalParts, query: TagQuery): Promise<Listing> => {
  const { repo, last } = query;
  if (!(await facts.hosting.exists(site.host, repo))) throw unknown("NAME_UNKNOWN", repo, "repository here");
  const page = await pageOf(query.n, (limit) => facts.hosting.tags(site.host, repo, { after: last as never, limit }));
  const next = page.next && requestPath({ kind: "tags", repo, n: page.names.length, last: page.next });
  return listing("application/json", { name: repo, tags: page.names }, { ...(next !== undefined && { next }) });
};

interface NamePage<Name> {
  readonly names: Name[];
  /** Where the next page begins; `undefined`: this is the last. */
  readonly next: Name | undefined;
}

/** One more than is wanted is looked for: it tells whether there is another page. */
export const pageOf = async <Name>(n: number | undefined, ask: (limit: number) => Promise<Name[]>): Promise<NamePage<Name>> => {
  const limit = Math.min(n ?? PAGE, PAGE);
  const found = limit === 0 ? [] : await ask(limit + 1);
  const names = found.slice(0, limit);
  return { names, next: found.length > limit ? names.at(-1) : undefined };
};

export const listing = (mediaType: string, document: object, metadata: Listing["metadata"]): Listing => ({
  mediaType,
  bytes: Buffer.from(JSON.stringify(document)),
  provenance: HIT,
  metadata,
});

/** Of an unknown subject: none, as the specification wants it. */
const referrersOf = async ({ facts, site }: LocalParts, query: ReferrersQuery): Promise<Listing> => {
  const { repo, digest: subject, artifactType } = query;
  let last = (new URLSearchParams(query.page).get("last") ?? undefined) as Digest | undefined;
  const manifests: object[] = [];
  let bytes = 0;
  let isMore = true;
  while (isMore && manifests.length < REFERRERS && bytes < REFERRERS_BYTES) {
    const page = { after: last, limit: AT_ONCE };
    const rows = await facts.hosting.referrers({ site: site.host, repo, subject, artifactType }, page);
    for (const { digest, descriptor } of rows) {
      manifests.push(JSON.parse(descriptor) as object);
      bytes += descriptor.length;
      last = digest;
    }
    isMore = rows.length === AT_ONCE;
  }
  const asked = { kind: "referrers", repo, digest: subject, ...(artifactType !== undefined && { artifactType }) } as const;
  return listing(
    INDEX,
    { schemaVersion: 2, mediaType: INDEX, manifests },
    {
      ...(artifactType !== undefined && { filtersApplied: "artifactType" }),
      ...(isMore && last !== undefined && { next: requestPath({ ...asked, page: `last=${last}` }) }),
    },
  );
};
