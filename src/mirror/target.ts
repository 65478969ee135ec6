// Where a copy goes: the site itself, whose cache keeps what is read through it, a hosted site, or another registry by pushing.
// Nothing is visible before `moveTag`: parts before what names them, the tag last.
import type { Digest } from "../oci/digest.ts";
import type { Repository, Tag } from "../oci/reference.ts";
import type { Blob, Context, Descriptor, Manifest } from "../oci/registry.ts";

export interface TargetTag {
  readonly digest: Digest;
  /** Somebody holds it: a sync does not move it. */
  readonly heldBy?: "pin" | "rollback" | "backup";
  /** Of its fact, where it is here. */
  readonly generation?: number;
}

export interface TargetMove {
  readonly digest: Digest;
  /** Of the digest: what the image says of when it was made. ms since the epoch. */
  readonly created?: number;
}

/** Throws OciError. */
export interface Target {
  /**
   * Another registry, where each question costs a request: what stands there is believed to be whole, and nothing of it is kept here. Of what
   * is here, the facts know what each tag was before, and what is kept for it (Mirroring).
   */
  readonly isElsewhere?: true;
  tag(repo: Repository, tag: Tag, ctx: Context): Promise<TargetTag | undefined>;
  hasManifest(repo: Repository, digest: Digest, ctx: Context): Promise<boolean>;
  hasBlob(repo: Repository, digest: Digest, ctx: Context): Promise<boolean>;
  /** Does not return before the last byte is verified and there. `open` may be called again after a torn connection. Bytes that came: to `told`. */
  putBlob(
    repo: Repository,
    blob: Descriptor,
    open: (ctx: Context) => Promise<Blob>,
    told: (bytes: number) => void,
    ctx: Context,
  ): Promise<void>;
  /** By its digest, with no tag. What it names has come before, apart from what was left out of an index. */
  putManifest(repo: Repository, manifest: Manifest, ctx: Context): Promise<void>;
  /** False: it is not what it was when `from` was read (`undefined`: it was not there), or somebody holds it. */
  moveTag(repo: Repository, tag: Tag, from: Digest | undefined, to: TargetMove, ctx: Context): Promise<boolean>;
  /** The name of what was replaced; does not move any more. False: it stands for something by now. */
  backup(repo: Repository, tag: Tag, to: TargetMove, ctx: Context): Promise<boolean>;
  /** Takes a backup name away; what it stood for stays as long as anything else names it. */
  removeBackup(repo: Repository, tag: Tag, ctx: Context): Promise<void>;
  /**
   * Nothing is kept for the images of these any more: what a sync has brought of them, and no tag, kept image or other manifest there names,
   * goes. Where it is left out they make way by themselves, or are not ours to take away.
   */
  letGo?(repo: Repository, digests: readonly Digest[], ctx: Context): Promise<void>;
}
