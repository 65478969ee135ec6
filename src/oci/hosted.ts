// The write side of a site that has no upstream: everything a registry takes. Values in, values out, like the read side (registry.ts).
// Uploads are named by ids that nobody can guess, and belong to the repository and the subject that began them.
import type { Readable } from "node:stream";
import type { Algorithm, Digest } from "./digest.ts";
import type { ByteRange } from "./range.ts";
import type { Reference, Repository, Tag } from "./reference.ts";
import type { Context, Listing } from "./registry.ts";

interface InRepository {
  readonly repo: Repository;
}

export interface UploadQuery extends InRepository {
  readonly id: string;
}

export interface UploadState {
  readonly id: string;
  /** Bytes that have come so far; the next one goes there. */
  readonly size: number;
}

export interface NewUpload extends InRepository {
  /** What its bytes are hashed by as they come; any other is found out at the end, by reading all of them again. */
  readonly algorithm?: Algorithm | undefined;
}

/** Bytes that go to the end of an upload. The body is read to its end, or destroyed. */
export interface Chunk extends UploadQuery {
  readonly body: Readable;
  /** Where the client believes that they go. */
  readonly range?: ByteRange | undefined;
  /** Bytes that are to come; `undefined`: as many as come. */
  readonly length?: number | undefined;
}

export interface LastChunk extends Chunk {
  readonly digest: Digest;
}

export interface BlobName extends InRepository {
  readonly digest: Digest;
}

export interface Mount extends BlobName {
  /** Where it is; `undefined`: anywhere on the site. */
  readonly from?: Repository | undefined;
}

export interface NewManifest extends InRepository {
  readonly reference: Reference;
  /** What a manifest that is put by digest is to be called as well. */
  readonly tags: readonly Tag[];
  readonly mediaType: string | undefined;
  readonly body: Readable;
}

export interface PutManifest {
  readonly digest: Digest;
  readonly subject: Digest | undefined;
}

export interface TagName extends InRepository {
  readonly tag: Tag;
}

export interface CatalogQuery {
  readonly n?: number;
  readonly last?: string;
}

/**
 * Throws OciError: NAME_UNKNOWN, *_UNKNOWN, DENIED, UNSUPPORTED, UNAUTHORIZED, TOOMANYREQUESTS, and STORE_FULL where there is no room.
 * What is answered without an error is on the disk.
 */
export interface Hosted {
  openUpload(query: NewUpload, ctx: Context): Promise<UploadState>;
  uploadStatus(query: UploadQuery, ctx: Context): Promise<UploadState>;
  /** BLOB_UPLOAD_INVALID: it does not go there, or another writer is at it. What came of a body that breaks off stays. */
  appendUpload(query: Chunk, ctx: Context): Promise<UploadState>;
  /** The upload is then over, also with a wrong digest: DIGEST_INVALID. */
  finishUpload(query: LastChunk, ctx: Context): Promise<void>;
  cancelUpload(query: UploadQuery, ctx: Context): Promise<void>;
  /** False: it is not there to be mounted. */
  mountBlob(query: Mount, ctx: Context): Promise<boolean>;
  /** MANIFEST_INVALID, DIGEST_INVALID, TOO_LARGE; MANIFEST_BLOB_UNKNOWN: the repository has not all that it names. */
  putManifest(query: NewManifest, ctx: Context): Promise<PutManifest>;
  /** And the tags that stand for it. */
  deleteManifest(query: BlobName, ctx: Context): Promise<void>;
  deleteTag(query: TagName, ctx: Context): Promise<void>;
  deleteBlob(query: BlobName, ctx: Context): Promise<void>;
  /** JSON: `{"repositories":[…]}`. */
  listRepositories(query: CatalogQuery, ctx: Context): Promise<Listing>;
}

export type HostedOperation = keyof Hosted;
