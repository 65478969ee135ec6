// A site's upstream as a Registry: questions out, values back, each checked as far as one answer can be.
import { type Readable, Transform } from "node:stream";
import { algorithmOf, type Digest, digestOf, isDigest } from "../oci/digest.ts";
import { type ErrorCode, isOciError, OciError } from "../oci/error.ts";
import { bareType, isSchema1, MANIFEST_TYPES } from "../oci/media.ts";
import { type ByteRange, formatRange, parseContentRange, type RangeRequest } from "../oci/range.ts";
import { isDigestReference, type Reference } from "../oci/reference.ts";
import {
  type Blob,
  type BlobRead,
  type Context,
  type Listing,
  MAX_MANIFEST,
  type Manifest,
  type ManifestQuery,
  type ManifestStat,
  type Metadata,
  type Registry,
} from "../oci/registry.ts";
import { requestPath } from "../oci/request.ts";
import type { Asker } from "./asker.ts";
import { readBounded, readUpTo } from "./body.ts";
import { refusalOf } from "./refusal.ts";
import type { Received, Transport } from "./transport.ts";

const BLOB_TYPE = "application/octet-stream";
const GENERIC = new Set(["application/octet-stream", "application/json", "text/plain", ""]);
const MISS = { source: "miss" } as const;

export interface UpstreamOptions {
  /** Tried in order while they cannot be reached or fail. */
  readonly upstreams: readonly URL[];
  readonly transport: Transport;
  readonly asker: Asker;
}

interface Question {
  readonly method: "GET" | "HEAD";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The code for a 404. */
  readonly unknown: ErrorCode;
}

export const upstreamRegistry = (options: UpstreamOptions): Registry => {
  const ask = (question: Question, ctx: Context) => askInTurn(options, question, ctx);
  const manifestQuestion = (method: Question["method"], { repo, reference }: ManifestQuery, ctx: Context): Question => ({
    method,
    path: requestPath({ kind: "manifest", head: method === "HEAD", repo, reference }),
    headers: { accept: acceptFor(ctx) },
    unknown: "MANIFEST_UNKNOWN",
  });
  const getManifest = async (query: ManifestQuery, ctx: Context): Promise<Manifest> =>
    readManifest(await ask(manifestQuestion("GET", query, ctx), ctx), query.reference, ctx);
  return {
    getManifest,
    async statManifest(query, ctx) {
      const answer = await ask(manifestQuestion("HEAD", query, ctx), ctx);
      await answer.body.dump();
      const stat = statOfHead(answer, query.reference);
      if (stat !== undefined) return stat;
      // ECR and some load balancers give no digest on HEAD: only the bytes tell
      const { descriptor, metadata } = await getManifest(query, ctx);
      return { descriptor, metadata, provenance: MISS };
    },
    async getBlob(query, ctx) {
      const { repo, digest, range } = query;
      const headers = range === undefined ? {} : { range: formatRange(range) };
      const path = requestPath({ kind: "blob", head: false, repo, digest });
      return readBlob(await ask({ method: "GET", path, headers, unknown: "BLOB_UNKNOWN" }, ctx), query, ctx);
    },
    async statBlob({ repo, digest }, ctx) {
      const path = requestPath({ kind: "blob", head: true, repo, digest });
      const answer = await ask({ method: "HEAD", path, unknown: "BLOB_UNKNOWN" }, ctx);
      await answer.body.dump();
      return {
        descriptor: { mediaType: BLOB_TYPE, digest, size: lengthOf(answer) },
        provenance: MISS,
        metadata: metadataOf(answer),
      };
    },
    async listTags(query, ctx) {
      const path = requestPath({ kind: "tags", ...query });
      return readListing(await ask({ method: "GET", path, unknown: "NAME_UNKNOWN" }, ctx), path);
    },
    async listReferrers(query, ctx) {
      const path = requestPath({ kind: "referrers", ...query });
      return readListing(await ask({ method: "GET", path, unknown: "NAME_UNKNOWN" }, ctx), path);
    },
  };
};

const askInTurn = async (
  { upstreams, transport, asker }: UpstreamOptions,
  question: Question,
  ctx: Context,
): Promise<Received> => {
  let failure: unknown;
  for (const upstream of upstreams) {
    try {
      return await askOne(upstream, transport, asker, question, ctx);
    } catch (error) {
      if (!isOciError(error) || !error.isOutage) throw error;
      failure = error;
    }
  }
  throw failure;
};

const askOne = async (upstream: URL, transport: Transport, asker: Asker, question: Question, ctx: Context): Promise<Received> => {
  const { method, path, headers, unknown } = question;
  const url = new URL(path, upstream);
  const answer = await asker(
    (authorization) =>
      transport.send({
        method,
        url,
        headers: { accept: "*/*", ...headers, ...(authorization === undefined ? {} : { authorization }) },
        signal: ctx.signal,
        tally: ctx.tally,
      }),
    upstream,
    ctx,
  );
  if (answer.status !== 200 && answer.status !== 206) throw await refusalOf(answer, unknown);
  const encoding = answer.header("content-encoding");
  if (encoding !== undefined && encoding !== "identity")
    throw await invalid(answer, `it is encoded as ${encoding}, which nobody asked for`);
  return answer;
};

const invalid = async (answer: Received, what: string): Promise<OciError> => {
  answer.body.on("error", () => undefined).destroy();
  return new OciError("UPSTREAM_INVALID", `what ${answer.url.host} sends cannot be right: ${what}`);
};

/** All that we know, so that what is kept serves every client; then whatever else the client takes. */
const acceptFor = ({ accept }: Context): string => [...new Set([...MANIFEST_TYPES, ...accept])].join(", ");

const readManifest = async (answer: Received, reference: Reference, ctx: Context): Promise<Manifest> => {
  const type = bareType(answer.header("content-type") ?? "");
  if (type === "text/html") throw await invalid(answer, "an HTML page instead of a manifest");
  const length = lengthOf(answer);
  const bytes = await readBounded(answer.body, MAX_MANIFEST);
  ctx.tally.upstreamBytes += bytes.length;
  if (length !== undefined && length !== bytes.length) throw await invalid(answer, `${bytes.length} bytes of ${length}`);
  const content = parseObject(bytes);
  if (content === undefined) throw await invalid(answer, "what should be a manifest is no JSON object");
  const mediaType = GENERIC.has(type) ? bareType(String(content["mediaType"] ?? type)) : type;
  const digest = isSchema1(mediaType)
    ? await claimedDigest(answer, reference, bytes)
    : await checkedDigest(answer, reference, bytes);
  return { descriptor: { mediaType, digest, size: bytes.length }, bytes, provenance: MISS, metadata: metadataOf(answer) };
};

const parseObject = (bytes: Buffer): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(bytes.toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
};

/** Against what was asked for, or by tag against what upstream itself says; with neither, what the bytes say. */
const checkedDigest = async (answer: Received, reference: Reference, bytes: Buffer): Promise<Digest> => {
  const expected = isDigestReference(reference) ? reference : claimOf(answer);
  const digest = digestOf(bytes, expected === undefined ? "sha256" : algorithmOf(expected));
  if (expected !== undefined && digest !== expected) throw await invalid(answer, `it is ${digest}, not ${expected}`);
  return digest;
};

/** Schema 1 is signed outside of what its digest covers: upstream's word is all there is, and nothing of it is kept. */
const claimedDigest = async (answer: Received, reference: Reference, bytes: Buffer): Promise<Digest> =>
  isDigestReference(reference) ? reference : (claimOf(answer) ?? digestOf(bytes));

const claimOf = (answer: Received): Digest | undefined => {
  const claim = answer.header("docker-content-digest") ?? "";
  return isDigest(claim) ? claim : undefined;
};

/** `undefined` where HEAD does not tell enough. */
const statOfHead = (answer: Received, reference: Reference): ManifestStat | undefined => {
  const digest = isDigestReference(reference) ? reference : claimOf(answer);
  const mediaType = bareType(answer.header("content-type") ?? "");
  if (digest === undefined || GENERIC.has(mediaType)) return undefined;
  if (mediaType === "text/html") throw new OciError("UPSTREAM_INVALID", `${answer.url.host} answers with an HTML page`);
  return { descriptor: { mediaType, digest, size: lengthOf(answer) }, provenance: MISS, metadata: metadataOf(answer) };
};

const readBlob = async (answer: Received, { digest, range }: BlobRead, ctx: Context): Promise<Blob> => {
  if (bareType(answer.header("content-type") ?? "") === "text/html")
    throw await invalid(answer, "an HTML page instead of a blob");
  const part = answer.status === 206 ? parseContentRange(answer.header("content-range")) : undefined;
  if (answer.status === 206 && (part === undefined || range === undefined || !isWhatWasAsked(range, part))) {
    throw await invalid(answer, `Content-Range ${answer.header("content-range") ?? "is missing"}`);
  }
  const length = lengthOf(answer);
  const size = part === undefined ? length : part.total;
  if (part !== undefined && length !== undefined && length !== part.end - part.start + 1)
    throw await invalid(answer, "the length of its range");
  return {
    descriptor: { mediaType: BLOB_TYPE, digest, size },
    body: counted(answer.body, length, ctx),
    range: part === undefined ? undefined : { start: part.start, end: part.end },
    provenance: MISS,
    metadata: metadataOf(answer),
  };
};

const isWhatWasAsked = (range: RangeRequest, { start, end, total }: ByteRange & { total: number | undefined }): boolean => {
  if ("suffix" in range) return total !== undefined && end === total - 1;
  return start === range.start && (range.end === undefined ? total === undefined || end === total - 1 : end <= range.end);
};

/** Counts what passes, and errors where less comes than was promised. */
const counted = (body: Readable, length: number | undefined, ctx: Context): Readable => {
  let seen = 0;
  const counter = new Transform({
    highWaterMark: 256 * 1024,
    transform(chunk: Buffer, _encoding, done) {
      seen += chunk.length;
      ctx.tally.upstreamBytes += chunk.length;
      done(null, chunk);
    },
    flush(done) {
      done(
        length === undefined || seen === length
          ? null
          : new OciError("UPSTREAM_UNREACHABLE", `upstream broke off after ${seen} of ${length} bytes`),
      );
    },
    destroy(error, done) {
      body.destroy();
      done(error);
    },
  });
  body.on("error", (error) => counter.destroy(new OciError("UPSTREAM_UNREACHABLE", "upstream broke off", { cause: error })));
  return body.pipe(counter);
};

const readListing = async (answer: Received, path: string): Promise<Listing> => {
  const mediaType = bareType(answer.header("content-type") ?? "application/json");
  if (mediaType === "text/html") throw await invalid(answer, "an HTML page instead of a list");
  const bytes = await readBounded(answer.body, MAX_MANIFEST);
  if (parseObject(bytes) === undefined) throw await invalid(answer, "what should be a list is no JSON object");
  const filtersApplied = answer.header("oci-filters-applied");
  const next = nextPage(answer, path);
  const metadata = {
    ...metadataOf(answer),
    ...(next === undefined ? {} : { next }),
    ...(filtersApplied === undefined ? {} : { filtersApplied }),
  };
  return { mediaType, bytes, provenance: MISS, metadata };
};

/** `Link: <…>; rel="next"` as path and query; one that leads to another origin is no page of this site. */
const nextPage = (answer: Received, path: string): string | undefined => {
  const [, target] = /<([^>]+)>\s*;[^,]*\brel="?next"?/i.exec(answer.header("link") ?? "") ?? [];
  const base = new URL(path, answer.url.origin);
  if (target === undefined || !URL.canParse(target, base.href)) return undefined;
  const url = new URL(target, base);
  return url.host === base.host ? `${url.pathname}${url.search}` : undefined;
};

const lengthOf = (answer: Received): number | undefined => {
  const length = answer.header("content-length");
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
};

const RATE_LIMIT = ["ratelimit-limit", "ratelimit-remaining", "docker-ratelimit-source"];

const metadataOf = (answer: Received): Metadata => {
  const rateLimit = Object.fromEntries(
    RATE_LIMIT.flatMap((name) =>
      answer
        .headers(name)
        .slice(0, 1)
        .map((value) => [name, value] as const),
    ),
  );
  const warnings = answer.headers("warning").filter((value) => value.startsWith("299 "));
  return { ...(Object.keys(rateLimit).length === 0 ? {} : { rateLimit }), ...(warnings.length === 0 ? {} : { warnings }) };
};

const MAX_WORDS = 64 * 1024;

export interface PingAnswer {
  readonly status: number;
  readonly challenges: readonly string[];
  readonly contentType: string | undefined;
  readonly body: string;
}

/** `GET /v2/` with the client's own credential. Any answer but an outage's is given as it is. */
export const pingUpstream = async ({ upstreams, transport }: UpstreamOptions, ctx: Context): Promise<PingAnswer> => {
  const headers = ctx.credential === undefined ? {} : { authorization: ctx.credential };
  let failure: unknown;
  for (const upstream of upstreams) {
    try {
      const answer = await transport.send({
        method: "GET",
        url: new URL("/v2/", upstream),
        headers,
        signal: ctx.signal,
        tally: ctx.tally,
      });
      if (answer.status >= 500 || answer.status === 429) throw await refusalOf(answer, "UPSTREAM_INVALID");
      const { bytes } = await readUpTo(answer.body, MAX_WORDS);
      const contentType = answer.header("content-type");
      return { status: answer.status, challenges: answer.headers("www-authenticate"), contentType, body: bytes.toString("utf8") };
    } catch (error) {
      if (!isOciError(error) || !error.isOutage) throw error;
      failure = error;
    }
  }
  throw failure;
};
