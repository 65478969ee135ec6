// Fetches an image ahead, as a client would, through the site's own cache: what is held already costs upstream no byte.
import { eachOf } from "../lib/at-once.ts";
import { anatomyOf } from "../oci/anatomy.ts";
import { isFetchable, MAX_DEPTH, noneOf, type Platforms, wantedOf } from "../oci/choice.ts";
import type { Digest } from "../oci/digest.ts";
import { isOciError } from "../oci/error.ts";
import type { Reference, Repository } from "../oci/reference.ts";
import type { Context, Manifest, Registry } from "../oci/registry.ts";
import { type BlobStore, StoreFull } from "../store/blobs.ts";

const AT_ONCE = 4;

export interface WarmOptions {
  /** `os/architecture` or `os/architecture/variant`; this machine's when it is left out. Where a manifest is no index it is taken as it is. */
  readonly platforms?: Platforms;
  /** Fires when nobody wants it any more; what has been fetched stays. */
  readonly signal: AbortSignal;
  readonly progress: (progress: WarmProgress) => void;
}

/** In bytes of blobs; the total grows as manifests become known. */
export interface WarmProgress {
  readonly done: number;
  readonly total: number;
  /** The digest that was worked on last. */
  readonly at: string;
}

/** As JSON would have it. */
export interface Warmed {
  readonly reference: string;
  /** `undefined`: not even the manifest could be had. */
  readonly digest?: string;
  readonly manifests: number;
  readonly blobs: number;
  /** Bytes of blobs that were there before. */
  readonly held: number;
  /** Bytes of blobs that are here now and were not. */
  readonly fetched: number;
  readonly failures: readonly WarmFailure[];
}

export interface WarmFailure {
  /** A tag or a digest. */
  readonly reference: string;
  readonly code: string;
  readonly message: string;
}

export interface WarmParts {
  /** The site's cache. */
  readonly registry: Registry;
  readonly blobs: BlobStore;
  readonly ctx: Context;
}

/** Failures are in the report; only the signal's reason is thrown. */
export const warm = (parts: WarmParts, repo: Repository, reference: Reference, options: WarmOptions): Promise<Warmed> =>
  new Warming(parts, repo, reference, options).run();

class Warming {
  readonly #parts: WarmParts;
  readonly #repo: Repository;
  readonly #reference: Reference;
  readonly #options: WarmOptions;
  readonly #failures: WarmFailure[] = [];
  readonly #manifests = new Set<string>();
  readonly #blobs = new Map<Digest, number>();
  #digest: Digest | undefined;
  #held = 0;
  #fetched = 0;
  /** Bytes that have come, of bodies that may still break off. */
  #underWay = 0;
  #total = 0;

  constructor(parts: WarmParts, repo: Repository, reference: Reference, options: WarmOptions) {
    this.#parts = { ...parts, ctx: { ...parts.ctx, signal: options.signal } };
    this.#repo = repo;
    this.#reference = reference;
    this.#options = options;
  }

  async run(): Promise<Warmed> {
    await this.#noting(this.#reference, () => this.#manifest(this.#reference, 0));
    await eachOf(this.#blobs, AT_ONCE, ([digest, size]) => this.#noting(digest, () => this.#blob(digest, size)));
    return {
      reference: this.#reference,
      ...(this.#digest !== undefined && { digest: this.#digest }),
      manifests: this.#manifests.size,
      blobs: this.#blobs.size,
      held: this.#held,
      fetched: this.#fetched,
      failures: this.#failures,
    };
  }

  async #manifest(reference: Reference, depth: number): Promise<void> {
    const manifest = await this.#parts.registry.getManifest({ repo: this.#repo, reference }, this.#parts.ctx);
    const { digest } = manifest.descriptor;
    this.#digest ??= digest;
    this.#manifests.add(digest);
    this.#checkKept(manifest);
    const { parts } = anatomyOf(manifest.bytes);
    for (const { digest: blob, size = 0 } of parts.filter(isFetchable)) {
      if (!this.#blobs.has(blob)) this.#total += size;
      this.#blobs.set(blob, size);
    }
    const children = parts.filter(({ role }) => role === "manifest");
    if (children.length === 0) return;
    if (depth === MAX_DEPTH) throw new Error(`more than ${MAX_DEPTH} indexes in one another`);
    const { platforms = [HERE] } = this.#options;
    const wanted = wantedOf(children, platforms);
    if (wanted.length === 0) this.#fail(reference, "MANIFEST_UNKNOWN", noneOf(children, platforms));
    const fresh = wanted.filter((child) => !this.#manifests.has(child.digest));
    await eachOf(fresh, AT_ONCE, (child) => this.#noting(child.digest, () => this.#manifest(child.digest, depth + 1)));
  }

  #checkKept({ descriptor, provenance }: Manifest): void {
    if (provenance.source === "uncached") this.#fail(descriptor.digest, "UNAVAILABLE", "it could not be kept");
  }

  async #blob(digest: Digest, size: number): Promise<void> {
    const { registry, blobs, ctx } = this.#parts;
    const before = await blobs.stat(digest);
    const blob = await registry.getBlob({ repo: this.#repo, digest }, ctx);
    if (before !== undefined) {
      blob.body.destroy();
      this.#held += before.size;
      return this.#report(digest);
    }
    // the body ends cleanly only when every byte of it was right
    for await (const chunk of blob.body as AsyncIterable<Buffer>) this.#tell(chunk.length, digest);
    if (blob.provenance.source === "uncached") this.#fail(digest, "UNAVAILABLE", "it could not be kept");
    else this.#fetched += blob.descriptor.size ?? size;
  }

  #tell(bytes: number, at: string): void {
    this.#underWay += bytes;
    this.#report(at);
  }

  #report(at: string): void {
    this.#options.progress({ done: this.#held + this.#underWay, total: this.#total, at });
  }

  async #noting(reference: string, work: () => Promise<void>): Promise<void> {
    this.#options.signal.throwIfAborted();
    try {
      await work();
    } catch (error) {
      this.#options.signal.throwIfAborted();
      this.#failures.push(failureOf(reference, error));
    }
  }

  #fail(reference: string, code: string, message: string): void {
    this.#failures.push({ reference, code, message });
  }
}

export const failureOf = (reference: string, error: unknown): WarmFailure => ({
  reference,
  code: isOciError(error) ? error.code : error instanceof StoreFull ? "STORE_FULL" : "UNKNOWN",
  message: error instanceof Error ? error.message : String(error),
});

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386", ppc64: "ppc64le" };

/** What images call this machine. */
const HERE = `linux/${ARCHITECTURES[process.arch] ?? process.arch}`;
