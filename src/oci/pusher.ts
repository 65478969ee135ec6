// The write side of another registry, as whoever pushes uses it. Values in, values out, like the read side (registry.ts).
import type { Digest } from "./digest.ts";
import type { Reference, Repository } from "./reference.ts";
import type { Blob, Context, Descriptor, Manifest } from "./registry.ts";

/** Opens the bytes from the first one on; again after an upload that broke off. */
export type OpenBlob = (ctx: Context) => Promise<Blob>;

/** Throws OciError. What is answered without an error is there. */
export interface Pusher {
  /** False: the registry does not mount it, and nothing was begun. */
  mount(repo: Repository, digest: Digest, from: Repository, ctx: Context): Promise<boolean>;
  /** `told`: bytes that the registry has been given, each once. */
  upload(repo: Repository, blob: Descriptor, open: OpenBlob, told: (bytes: number) => void, ctx: Context): Promise<void>;
  /** Whether the registry has listed it among the referrers of its subject (`OCI-Subject`). */
  putManifest(repo: Repository, reference: Reference, manifest: Manifest, ctx: Context): Promise<{ readonly isListed: boolean }>;
  /** Of what is not there as well. */
  deleteTag(repo: Repository, tag: Reference, ctx: Context): Promise<void>;
}
