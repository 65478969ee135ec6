// An upstream as a Registry in memory, that does what a test says: who may read what, what is wrong, and what it was asked.
import { Readable } from "node:stream";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import { OciError } from "../../src/oci/error.ts";
import { formatRange, resolveRange } from "../../src/oci/range.ts";
import { isDigestReference, type Reference, type Repository } from "../../src/oci/reference.ts";
import type { Blob, BlobRead, Context, Manifest, Registry } from "../../src/oci/registry.ts";

const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";

export interface Repo {
  isPublic: boolean;
  readonly readers: Set<string>;
  readonly tags: Map<string, Digest>;
  readonly manifests: Map<Digest, { bytes: Buffer; mediaType: string }>;
  readonly blobs: Map<Digest, Buffer>;
}

type BodyOf = (bytes: Buffer, query: BlobRead, nth: number) => Readable;

export class ScriptedUpstream implements Registry {
  readonly repos = new Map<string, Repo>();
  /** `operation repo reference [range] [credential]`, in order. */
  readonly asked: string[] = [];
  /** Thrown instead of any answer. */
  failure: Error | undefined;
  /** Says 404 where it should say 401. */
  hides = false;
  /** Awaited before every answer. */
  gate: Promise<void> = Promise.resolve();
  bodyOf: BodyOf = (bytes) => Readable.from([bytes], { objectMode: false });
  blobBytes = 0;

  repo(name: string, options: { isPublic?: boolean; readers?: readonly string[] } = {}): Repo {
    const known = this.repos.get(name);
    if (known !== undefined) return known;
    const repo = {
      isPublic: options.isPublic ?? false,
      readers: new Set(options.readers),
      tags: new Map(),
      manifests: new Map(),
      blobs: new Map(),
    };
    this.repos.set(name, repo);
    return repo;
  }

  blob(repo: string, bytes: Buffer): Digest {
    const digest = digestOf(bytes);
    this.repo(repo).blobs.set(digest, bytes);
    return digest;
  }

  manifest(repo: string, tag: string, content: object, mediaType = OCI_MANIFEST): Digest {
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...content }));
    const digest = digestOf(bytes);
    this.repo(repo).manifests.set(digest, { bytes, mediaType });
    this.repo(repo).tags.set(tag, digest);
    return digest;
  }

  count(start: string): number {
    return this.asked.filter((line) => line.startsWith(start)).length;
  }

  async getBlob(query: BlobRead, ctx: Context): Promise<Blob> {
    const nth = this.count(`getBlob ${query.repo} ${query.digest}`);
    const repo = await this.#enter(
      "getBlob",
      query.repo,
      query.digest,
      ctx,
      query.range === undefined ? "" : formatRange(query.range),
    );
    const bytes = repo.blobs.get(query.digest);
    if (bytes === undefined) throw new OciError("BLOB_UNKNOWN", "no such blob");
    const range = query.range === undefined ? undefined : resolveRange(query.range, bytes.length);
    const part = range === undefined ? bytes : bytes.subarray(range.start, range.end + 1);
    this.blobBytes += part.length;
    const descriptor = { mediaType: "application/octet-stream", digest: query.digest, size: bytes.length };
    return { descriptor, body: this.bodyOf(part, query, nth), range, provenance: { source: "miss" }, metadata: {} };
  }

  async statBlob({ repo: name, digest }: { repo: Repository; digest: Digest }, ctx: Context) {
    const repo = await this.#enter("statBlob", name, digest, ctx);
    const bytes = repo.blobs.get(digest);
    if (bytes === undefined) throw new OciError("BLOB_UNKNOWN", "no such blob");
    return {
      descriptor: { mediaType: "application/octet-stream", digest, size: bytes.length },
      provenance: { source: "miss" as const },
      metadata: {},
    };
  }

  async getManifest({ repo: name, reference }: { repo: Repository; reference: Reference }, ctx: Context): Promise<Manifest> {
    return this.#manifest("getManifest", name, reference, ctx);
  }

  async statManifest({ repo: name, reference }: { repo: Repository; reference: Reference }, ctx: Context) {
    const { descriptor, provenance, metadata } = await this.#manifest("statManifest", name, reference, ctx);
    return { descriptor, provenance, metadata };
  }

  async listTags({ repo: name }: { repo: Repository }, ctx: Context) {
    const repo = await this.#enter("listTags", name, "", ctx);
    const bytes = Buffer.from(JSON.stringify({ name, tags: [...repo.tags.keys()] }));
    return { mediaType: "application/json", bytes, provenance: { source: "miss" as const }, metadata: {} };
  }

  async listReferrers({ repo: name, digest }: { repo: Repository; digest: Digest }, ctx: Context) {
    await this.#enter("listReferrers", name, digest, ctx);
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [] }));
    return { mediaType: "application/vnd.oci.image.index.v1+json", bytes, provenance: { source: "miss" as const }, metadata: {} };
  }

  async #manifest(operation: string, name: string, reference: Reference, ctx: Context): Promise<Manifest> {
    const repo = await this.#enter(operation, name, reference, ctx);
    const digest = isDigestReference(reference) ? reference : repo.tags.get(reference);
    const manifest = digest === undefined ? undefined : repo.manifests.get(digest);
    if (digest === undefined || manifest === undefined) throw new OciError("MANIFEST_UNKNOWN", "no such manifest");
    const { bytes, mediaType } = manifest;
    return { descriptor: { mediaType, digest, size: bytes.length }, bytes, provenance: { source: "miss" }, metadata: {} };
  }

  /** The answer is that of the moment at which the question arrives, however long it is on its way back. */
  async #enter(operation: string, name: string, reference: string, { credential, signal }: Context, extra = ""): Promise<Repo> {
    this.asked.push([operation, name, reference, extra, credential ?? "-"].filter((part) => part !== "").join(" "));
    const { failure } = this;
    const repo = this.repos.get(name);
    const mayRead = repo !== undefined && (repo.isPublic || repo.readers.has(credential ?? "-"));
    const snapshot = repo === undefined ? undefined : { ...repo, tags: new Map(repo.tags) };
    await this.gate;
    signal.throwIfAborted();
    if (failure !== undefined) throw failure;
    if (!mayRead || snapshot === undefined) throw this.#refusal(repo !== undefined);
    return snapshot;
  }

  #refusal(exists: boolean): OciError {
    if (this.hides || !exists) return new OciError("NAME_UNKNOWN", "no such repository");
    const upstream = {
      status: 401,
      challenges: ['Bearer realm="https://auth.example/token"'],
      contentType: undefined,
      body: "",
      retryAfter: undefined,
    };
    return new OciError("UNAUTHORIZED", "authentication required", { upstream });
  }
}
