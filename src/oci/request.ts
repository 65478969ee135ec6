// Method + path → one value; the server parses with it and the upstream client builds with it, so that they cannot disagree.
// Endpoint numbers are those of the distribution-spec.
import { type Digest, parseDigest } from "./digest.ts";
import { OciError } from "./error.ts";
import { parseReference, parseRepository, type Reference, type Repository } from "./reference.ts";

export type OciRequest =
  | { readonly kind: "ping" } // end-1
  | { readonly kind: "blob"; readonly head: boolean; readonly repo: Repository; readonly digest: Digest } // end-2
  | { readonly kind: "manifest"; readonly head: boolean; readonly repo: Repository; readonly reference: Reference } // end-3
  | { readonly kind: "tags"; readonly repo: Repository; readonly n?: number; readonly last?: string; readonly page?: string } // end-8a, end-8b
  | {
      readonly kind: "referrers";
      readonly repo: Repository;
      readonly digest: Digest;
      readonly artifactType?: string;
      readonly page?: string;
    } // end-12a, end-12b
  | { readonly kind: "catalog"; readonly n?: number; readonly last?: string } // of the whole site; no endpoint of the specification
  | WriteRequest
  /** Anything else: passed through to the host that was asked for, uncached. */
  | { readonly kind: "other" };

/**
 * A write to a repository, or a question about one that is under way: end-4a … end-11, end-13. Texts are as the client wrote them:
 * what an upstream makes of them is its own affair. `tags` and a digest's form are checked where the write is done here.
 */
export interface WriteRequest {
  readonly kind: "write";
  readonly repo: Repository;
  readonly what: "manifest" | "blob" | "upload";
  /** Of a manifest. */
  readonly reference?: Reference;
  /** Of a blob: what is to be deleted. Of an upload: what it is to be (`?digest=`). */
  readonly digest?: string;
  /** All that follows `uploads/`, where there is anything. */
  readonly upload?: string;
  readonly mount?: string;
  readonly from?: string;
  /** How an upload without a digest will be hashed (`?digest-algorithm=`). */
  readonly algorithm?: string;
  /** What a manifest that is put by digest is to be called as well (`?tag=`). */
  readonly tags?: readonly string[];
}

const ROUTE = /^\/v2\/(.+)\/(manifests|blobs|tags|referrers)\/([^/]*)$/;
const UPLOADS = /^\/v2\/(.+)\/blobs\/uploads(?:\/(.*))?$/;
const CATALOG = "/v2/_catalog";
const READS = new Set(["GET", "HEAD"]);
const WRITES = new Set(["PUT", "POST", "PATCH", "DELETE"]);

/**
 * `path` as it stands in the request line, without query. Throws NAME_INVALID, DIGEST_INVALID, MANIFEST_INVALID, UNSUPPORTED.
 * Names are never percent-decoded: no legal name needs it, and a decoder in front of a key is a way round it.
 */
export const parseRequest = (method: string, path: string, query: URLSearchParams): OciRequest => {
  if (!path.startsWith("/v2/") && path !== "/v2") return { kind: "other" };
  if (path === "/v2/" || path === "/v2") return READS.has(method) ? { kind: "ping" } : unsupported(method, path);
  if (path === CATALOG) return READS.has(method) ? { kind: "catalog", ...pageOf(query) } : unsupported(method, path);
  const upload = UPLOADS.exec(path);
  if (upload !== null) return parseUpload(upload[1]!, upload[2] ?? "", query);
  const match = ROUTE.exec(path);
  if (match === null) return { kind: "other" };
  const [, name, noun, last] = match as unknown as [string, string, "manifests" | "blobs" | "tags" | "referrers", string];
  if (READS.has(method)) return parseRead(method === "HEAD", name, noun, last, query);
  if (!WRITES.has(method)) return unsupported(method, path);
  if (noun === "manifests") return parseManifestWrite(name, last, query);
  if (noun === "blobs") return { kind: "write", what: "blob", repo: parseRepository(name), digest: last };
  return unsupported(method, path);
};

const parseRead = (head: boolean, name: string, noun: string, last: string, query: URLSearchParams): OciRequest => {
  const repo = parseRepository(name);
  if (noun === "manifests") return { kind: "manifest", head, repo, reference: parseReference(last) };
  if (noun === "blobs") return { kind: "blob", head, repo, digest: parseDigest(last) };
  if (noun === "tags") return last === "list" ? { kind: "tags", repo, ...pageOf(query) } : { kind: "other" };
  return parseReferrers(repo, parseDigest(last), query);
};

const parseManifestWrite = (name: string, last: string, query: URLSearchParams): WriteRequest => {
  const tags = query.getAll("tag");
  const write = { kind: "write", what: "manifest", repo: parseRepository(name), reference: parseReference(last) } as const;
  return tags.length === 0 ? write : { ...write, tags };
};

const parseUpload = (name: string, upload: string, query: URLSearchParams): WriteRequest => {
  const given = [
    ["upload", upload === "" ? null : upload],
    ["digest", query.get("digest")],
    ["mount", query.get("mount")],
    ["from", query.get("from")],
    ["algorithm", query.get("digest-algorithm")],
  ].filter(([, value]) => value !== null);
  return { kind: "write", what: "upload", repo: parseRepository(name), ...Object.fromEntries(given) };
};

const pageOf = (query: URLSearchParams): { readonly n?: number; readonly last?: string } => {
  const n = query.get("n");
  const last = query.get("last");
  if (n !== null && !/^\d{1,9}$/.test(n)) throw new OciError("PAGINATION_NUMBER_INVALID", `invalid page size: ${n.slice(0, 50)}`);
  return { ...(n === null ? {} : { n: Number(n) }), ...(last === null ? {} : { last }) };
};

const parseReferrers = (repo: Repository, digest: Digest, query: URLSearchParams): OciRequest => {
  const artifactType = query.get("artifactType");
  const page = new URLSearchParams(query);
  page.delete("artifactType");
  return {
    kind: "referrers",
    repo,
    digest,
    ...(artifactType === null ? {} : { artifactType }),
    ...(page.size === 0 ? {} : { page: page.toString() }),
  };
};

const unsupported = (method: string, path: string): never => {
  throw new OciError("UNSUPPORTED", `${method.slice(0, 20)} is not supported on ${path.slice(0, 300)}`);
};

/** The path and query that ask for a read; the inverse of parseRequest. */
export const requestPath = (
  request: Extract<OciRequest, { kind: "ping" | "blob" | "manifest" | "tags" | "referrers" | "catalog" }>,
): string => {
  switch (request.kind) {
    case "ping":
      return "/v2/";
    case "blob":
      return `/v2/${request.repo}/blobs/${request.digest}`;
    case "manifest":
      return `/v2/${request.repo}/manifests/${request.reference}`;
    case "tags":
      if (request.page !== undefined) return `/v2/${request.repo}/tags/list?${request.page}`;
      return withQuery(`/v2/${request.repo}/tags/list`, [
        ["n", request.n?.toString()],
        ["last", request.last],
      ]);
    case "catalog":
      return withQuery(CATALOG, [
        ["n", request.n?.toString()],
        ["last", request.last],
      ]);
    case "referrers": {
      const path = withQuery(`/v2/${request.repo}/referrers/${request.digest}`, [["artifactType", request.artifactType]]);
      if (request.page === undefined) return path;
      return `${path}${path.includes("?") ? "&" : "?"}${request.page}`;
    }
  }
};

const withQuery = (path: string, pairs: readonly (readonly [string, string | undefined])[]): string => {
  const query = new URLSearchParams();
  for (const [key, value] of pairs) if (value !== undefined) query.set(key, value);
  return query.size === 0 ? path : `${path}?${query.toString()}`;
};
