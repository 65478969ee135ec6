// A bundle into a Layover: everything is looked at before anything is sent, then bytes, then manifests, children first, then tags. What is there
// already is not sent; run again after whatever broke it off, it goes on.
import { Readable } from "node:stream";
import type { ImportCheck, ImportedTag, Progress } from "../admin/answers.ts";
import type { Content } from "../admin/content.ts";
import type { Call, Operations } from "../admin/operations.ts";
import { algorithmOf, type Digest, hasherFor } from "../oci/digest.ts";
import { blobPath } from "../oci/image-layout.ts";
import { type BundledManifest, type Contents, contentsOf } from "./contents.ts";
import { type NamedImage, namedIn } from "./names.ts";
import { Persistence } from "./persist.ts";
import type { Bundle } from "./read.ts";

export interface ImportParts {
  readonly bundle: Bundle;
  readonly operations: Pick<Operations, "importCheck" | "importManifest" | "importTag">;
  readonly content: Pick<Content, "put">;
  /** What the bundle's one image is to be called. */
  readonly as?: string | undefined;
  readonly signal: AbortSignal;
  readonly progress: (progress: Progress) => void;
}

export interface ImportReport {
  /** Of each tag, and of what has none by its digest. */
  readonly images: readonly (
    | ImportedTag
    | { readonly reference: string; readonly digest: string; readonly outcome: "untagged" }
  )[];
  readonly sent: { readonly count: number; readonly bytes: number };
  readonly held: { readonly count: number; readonly bytes: number };
  readonly readers: readonly { readonly site: string; readonly readers: ImportCheck["names"][number]["readers"] }[];
}

const PAGE = 1_000;

/** Throws Error with what is wrong with the bundle, AdminError, Unreachable. */
export const importBundle = async (parts: ImportParts): Promise<ImportReport> => {
  const contents = await contentsOf(parts.bundle);
  const images = namedIn(contents, parts.as);
  return new Importing(parts, contents, images).run();
};

class Importing {
  readonly #parts: ImportParts;
  readonly #contents: Contents;
  readonly #images: readonly NamedImage[];
  readonly #call: Call;
  readonly #persistence: Persistence;
  readonly #total: number;
  #done = 0;
  #sent = { count: 0, bytes: 0 };
  #held = { count: 0, bytes: 0 };

  constructor(parts: ImportParts, contents: Contents, images: readonly NamedImage[]) {
    this.#parts = parts;
    this.#contents = contents;
    this.#images = images;
    this.#call = { signal: parts.signal, progress: () => undefined };
    this.#persistence = new Persistence(parts.signal);
    this.#total = [...contents.sizes.values()].reduce((sum, size) => sum + size, 0);
  }

  async run(): Promise<ImportReport> {
    const names = await this.#check();
    await this.#send();
    await this.#manifests();
    const images = await this.#tags();
    const readers = [...new Map(names.map(({ site, readers }) => [site, { site, readers }])).values()];
    return { images, sent: this.#sent, held: this.#held, readers };
  }

  /** Before a byte is sent. */
  async #check(): Promise<ImportCheck["names"]> {
    const names: ImportCheck["names"][number][] = [];
    for (const references of pagesOf(this.#images.map(({ reference }) => reference)))
      names.push(...(await this.#parts.operations.importCheck({ references }, this.#call)).names);
    const refused = names.flatMap(({ reference, refusal }) => (refusal === undefined ? [] : [`${reference}: ${refusal}`]));
    if (refused.length > 0) throw new Error(`nothing was imported: ${refused.slice(0, 10).join("; ")}`);
    return names;
  }

  async #send(): Promise<void> {
    for (const digests of pagesOf([...this.#contents.sizes.keys()])) {
      const { held } = await this.#again(() => this.#parts.operations.importCheck({ digests }, this.#call));
      const here = new Set(held);
      for (const digest of digests) await (here.has(digest) ? this.#verify(digest) : this.#put(digest));
    }
  }

  /** That it is there says nothing of what the bundle has: who has not the bytes gets no link to them. */
  async #verify(digest: Digest): Promise<void> {
    const hasher = hasherFor(algorithmOf(digest));
    for await (const chunk of this.#parts.bundle.read(blobPath(digest)) as AsyncIterable<Buffer>) {
      this.#parts.signal.throwIfAborted();
      hasher.update(chunk);
      this.#tell(chunk.length, digest);
    }
    if (hasher.digest() !== digest) throw new Error(`what the bundle has as ${digest} is something else`);
    this.#held = { count: this.#held.count + 1, bytes: this.#held.bytes + this.#sizeOf(digest) };
  }

  async #put(digest: Digest): Promise<void> {
    const size = this.#sizeOf(digest);
    const before = this.#done;
    await this.#again(async () => {
      this.#done = before;
      const body = Readable.from(this.#told(digest), { objectMode: false });
      await this.#parts.content.put(digest, size, body, this.#parts.signal);
    });
    this.#done = before + size;
    this.#sent = { count: this.#sent.count + 1, bytes: this.#sent.bytes + size };
  }

  async *#told(digest: Digest): AsyncGenerator<Buffer> {
    for await (const chunk of this.#parts.bundle.read(blobPath(digest)) as AsyncIterable<Buffer>) {
      this.#tell(chunk.length, digest);
      yield chunk;
    }
  }

  async #manifests(): Promise<void> {
    const byRepository = new Map<string, Set<Digest>>();
    for (const { repository, digest } of this.#images) this.#below(digest, byRepository, repository);
    for (const [repository, digests] of byRepository)
      for (const digest of digests) await this.#manifest(repository, this.#contents.manifests.get(digest)!);
  }

  /** Children before what names them. */
  #below(digest: Digest, byRepository: Map<string, Set<Digest>>, repository: string): void {
    const known = byRepository.get(repository) ?? new Set<Digest>();
    byRepository.set(repository, known);
    if (known.has(digest)) return;
    for (const child of this.#contents.manifests.get(digest)!.children) this.#below(child, byRepository, repository);
    known.add(digest);
  }

  async #manifest(repository: string, { digest, mediaType, lacks }: BundledManifest): Promise<void> {
    const input = { reference: `${repository}@${digest}`, mediaType, ...(lacks.length > 0 && { lacks }) };
    await this.#again(() => this.#parts.operations.importManifest(input, this.#call));
  }

  async #tags(): Promise<ImportReport["images"]> {
    const done: ImportReport["images"][number][] = [];
    for (const { reference, digest } of this.#images) {
      if (reference.includes("@")) done.push({ reference, digest, outcome: "untagged" });
      else done.push(await this.#again(() => this.#parts.operations.importTag({ reference, digest }, this.#call)));
    }
    return done;
  }

  #again<T>(work: () => Promise<T>): Promise<T> {
    return this.#persistence.run(work);
  }

  #sizeOf(digest: Digest): number {
    return this.#contents.sizes.get(digest)!;
  }

  #tell(bytes: number, at: string): void {
    this.#done += bytes;
    this.#persistence.progressed(bytes);
    this.#parts.progress({ done: this.#done, total: this.#total, unit: "bytes", at });
  }
}

const pagesOf = <T>(things: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(things.length / PAGE) }, (_, i) => things.slice(i * PAGE, (i + 1) * PAGE));
