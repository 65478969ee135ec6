// The contract that everything past HTTP parsing implements or wraps. Values in, values out: no request, response or status code.
import type { Readable } from "node:stream";
import type { Digest } from "./digest.ts";
import type { ByteRange, RangeRequest } from "./range.ts";
import type { Reference, Repository } from "./reference.ts";

/** A client's `Authorization`, verbatim. Never logged, never stored; keys are made of a keyed hash of it. */
export type Credential = string & { readonly __credential?: never };

/** Who asks, and what follows the question down. One per request. */
export interface Context {
  readonly credential: Credential | undefined;
  /** Media ranges of the client's Accept, in order; empty when it sent none. */
  readonly accept: readonly string[];
  /** What the client calls itself; never to be trusted with a right. */
  readonly agent?: string | undefined;
  readonly signal: AbortSignal;
  /** The client's address; "" for questions of our own. */
  readonly client: string;
  /** Names this request in logs. */
  readonly trace: string;
  /** What this request has cost; added to as it goes. */
  readonly tally: Tally;
}

export interface Tally {
  upstreamBytes: number;
  upstreamRequests: number;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes; `undefined` only while a body without a length is still on its way. */
  readonly size: number | undefined;
}

/** How an answer came about. `age` in whole seconds since upstream last confirmed it. */
export interface Provenance {
  readonly source: "hit" | "miss" | "stale" | "revalidated" | "uncached";
  readonly age?: number;
}

/** Allow-listed metadata of upstream's answer that the client is to see. */
export interface Metadata {
  /** `Link` of a page: path and query on the site itself, never another origin. */
  readonly next?: string;
  /** `OCI-Filters-Applied`. */
  readonly filtersApplied?: string;
  /** Lower-case header name → value: `ratelimit-limit`, `ratelimit-remaining`, `docker-ratelimit-source`. */
  readonly rateLimit?: Readonly<Record<string, string>>;
  /** `Warning: 299` of upstream (distribution-spec, "Warnings"). */
  readonly warnings?: readonly string[];
}

interface Answer {
  readonly provenance: Provenance;
  readonly metadata: Metadata;
}

export interface BlobQuery {
  readonly repo: Repository;
  readonly digest: Digest;
}

export interface BlobRead extends BlobQuery {
  readonly range?: RangeRequest;
}

export interface ManifestQuery {
  readonly repo: Repository;
  readonly reference: Reference;
  /** With the client's own Accept and no other, where upstream makes different answers of it. */
  readonly isExact?: true;
}

export interface BlobStat extends Answer {
  readonly descriptor: Descriptor;
}

/** The body must be read to its end or destroyed. It ends cleanly only when all promised bytes were right; else it errors. */
export interface Blob extends BlobStat {
  readonly body: Readable;
  /** What the body holds, when a range was asked for and honoured. */
  readonly range: ByteRange | undefined;
}

export interface ManifestStat extends Answer {
  readonly descriptor: Descriptor;
}

export interface Manifest extends ManifestStat {
  /** Verbatim; at most MAX_MANIFEST bytes. */
  readonly bytes: Buffer;
}

export interface TagQuery {
  readonly repo: Repository;
  /** Page size and where to go on (distribution-spec, "Listing tags"). */
  readonly n?: number;
  readonly last?: string;
  /** In place of both: the query of a page link, verbatim, without `?`. */
  readonly page?: string;
}

export interface ReferrersQuery {
  readonly repo: Repository;
  readonly digest: Digest;
  readonly artifactType?: string;
  /** Further query of a page link, verbatim, without `?`. */
  readonly page?: string;
}

/** A JSON document as upstream gave it: a tag list, an index of referrers. At most MAX_MANIFEST bytes. */
export interface Listing extends Answer {
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/** 8 MiB: twice what the distribution-spec tells registries to take. */
export const MAX_MANIFEST = 8 * 1024 * 1024;

/**
 * The read side of a site. Every method throws OciError:
 * *_UNKNOWN (404), UNAUTHORIZED, DENIED, TOOMANYREQUESTS, UPSTREAM_UNREACHABLE, UPSTREAM_INVALID; getBlob also RANGE_INVALID.
 */
export interface Registry {
  getBlob(query: BlobRead, ctx: Context): Promise<Blob>;
  statBlob(query: BlobQuery, ctx: Context): Promise<BlobStat>;
  getManifest(query: ManifestQuery, ctx: Context): Promise<Manifest>;
  /** With the bytes, where an upstream's HEAD did not tell enough and they had to be fetched. */
  statManifest(query: ManifestQuery, ctx: Context): Promise<ManifestStat | Manifest>;
  listTags(query: TagQuery, ctx: Context): Promise<Listing>;
  listReferrers(query: ReferrersQuery, ctx: Context): Promise<Listing>;
}

export type Operation = keyof Registry;
