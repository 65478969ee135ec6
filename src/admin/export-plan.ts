// What goes into a bundle: of the images that are asked for everything that is held, and what of it is missing. Reads the stores, changes nothing.
import { anatomyOf, type NamedPart } from "../oci/anatomy.ts";
import { isFetchable, MAX_DEPTH, noneOf, wantedOf } from "../oci/choice.ts";
import type { Digest } from "../oci/digest.ts";
import { digestNamedBy } from "../oci/digest-tag.ts";
import { isDigestReference, type Reference, type Tag } from "../oci/reference.ts";
import { MAX_MANIFEST } from "../oci/registry.ts";
import type { Sites } from "../sites.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { FactStore } from "../store/facts.ts";
import { everyRow } from "../store/inventory.ts";
import type { BundleRoot, DockerImage, ExportPlan } from "./answers.ts";
import { AdminError } from "./error.ts";
import type { ExportInput } from "./operations.ts";
import { calledIn, type Image, parseImage, referenceOf } from "./references.ts";
import { type Referring, referrersWithin } from "./referring.ts";

export interface ExportParts {
  readonly sites: Sites;
  readonly blobs: BlobStore;
  readonly facts: FactStore;
}

/** More is no bundle for one file. */
const MAX_ROOTS = 10_000;

/** Throws UNKNOWN_SITE, INVALID, NOT_HELD. */
export const exportPlan = (parts: ExportParts, input: ExportInput): Promise<ExportPlan> => new Planning(parts, input).run();

/** A repository, of which names and referrers are looked for once. */
type Place = Pick<Image, "site" | "repo">;

class Planning {
  readonly #parts: ExportParts;
  readonly #input: ExportInput;
  readonly #roots = new Map<string, BundleRoot>();
  readonly #blobs = new Map<Digest, number>();
  readonly #docker = new Map<string, DockerImage>();
  readonly #missing = new Map<string, { readonly reference: string; readonly why: string }>();
  readonly #left = new Set<string>();
  readonly #places = new Map<string, { readonly place: Place; readonly digests: Set<Digest> }>();

  constructor(parts: ExportParts, input: ExportInput) {
    this.#parts = parts;
    this.#input = input;
  }

  async run(): Promise<ExportPlan> {
    for (const text of this.#input.references) {
      const image = parseImage(text, this.#parts.sites);
      for (const reference of await this.#referencesOf(image)) await this.#root(image, reference);
    }
    if (this.#input.referrers !== false)
      for (const { place, digests } of this.#places.values()) await this.#referrers(place, digests);
    return {
      // what has a name first: some look no further
      roots: sortedBy([...this.#roots.values()], ({ reference = "\uffff", digest }) => `${reference} ${digest}`),
      blobs: sortedBy(
        [...this.#blobs].map(([digest, size]) => ({ digest, size })),
        ({ digest }) => digest,
      ),
      docker: sortedBy([...this.#docker.values()], ({ name }) => name),
      left: [...this.#left].sort(),
      missing: [...this.#missing.values()],
    };
  }

  /** Of a repository alone all tags that are held; `latest` where none is. */
  async #referencesOf(image: Image): Promise<Reference[]> {
    if (image.tag !== undefined || image.digest !== undefined) return [referenceOf(image)];
    const tags: Tag[] = [];
    for await (const row of everyRow((page: { after?: { tag: Tag } | undefined; limit: number }) =>
      this.#parts.facts.inventory.tags(image.site.host, image.repo, { after: page.after?.tag, limit: page.limit }),
    ))
      if (row.isHeld && digestNamedBy(row.tag) === undefined) tags.push(row.tag);
    return tags.length === 0 ? [referenceOf(image)] : tags;
  }

  async #root(place: Place, reference: Reference): Promise<void> {
    const { site, repo } = place;
    const name = calledIn(site, repo, reference);
    const digest = isDigestReference(reference) ? reference : await this.#digestOf(place, reference);
    const bytes = digest && (await this.#manifest(digest));
    if (digest === undefined || bytes === undefined) return this.#miss(name, "it is not held");
    const link = await this.#parts.facts.link({ site: site.host, repo, digest });
    const mediaType = anatomyOf(bytes).mediaType ?? link?.mediaType;
    if (mediaType === undefined) throw new AdminError("INVALID", `${name} is no manifest`);
    if (this.#roots.size >= MAX_ROOTS) throw new AdminError("TOO_LARGE", `more than ${MAX_ROOTS} images for one bundle`);
    this.#roots.set(name, { reference: name, digest, mediaType, size: bytes.length });
    const images = await this.#tree(place, digest, bytes, 0);
    if (images.length === 1 && !isDigestReference(reference)) this.#docker.set(name, { name, ...images[0]! });
  }

  async #digestOf({ site, repo }: Place, tag: Tag): Promise<Digest | undefined> {
    return (await this.#parts.facts.tag({ site: site.host, repo, tag }))?.digest;
  }

  #manifest(digest: Digest): Promise<Buffer | undefined> {
    return this.#parts.blobs.readAll(digest, MAX_MANIFEST);
  }

  /** What is below it, itself included; the images in it that Docker would know what to do with. */
  async #tree(place: Place, digest: Digest, bytes: Buffer, depth: number): Promise<Omit<DockerImage, "name">[]> {
    this.#take(place, digest, bytes.length);
    const { parts } = anatomyOf(bytes);
    const children = parts.filter(({ role }) => role === "manifest");
    if (children.length === 0) return this.#image(place, digest, parts);
    if (depth === MAX_DEPTH)
      throw new AdminError("INVALID", `${digest} is the last of more than ${MAX_DEPTH} indexes in one another`);
    const { platforms = "all" } = this.#input;
    const wanted = new Set(wantedOf(children, platforms));
    const images: Omit<DockerImage, "name">[] = [];
    let taken = 0;
    for (const child of children) {
      const below = wanted.has(child) ? await this.#child(place, digest, child, depth + 1) : undefined;
      if (below === undefined) this.#left.add(`${child.platform ?? child.digest} of ${digest}`);
      else taken += 1;
      images.push(...(below ?? []));
    }
    if (taken === 0) this.#miss(calledIn(place.site, place.repo, digest), this.#noneOf(children));
    return images;
  }

  /** `undefined`: the bundle goes without it. */
  async #child(place: Place, index: Digest, child: NamedPart, depth: number): Promise<Omit<DockerImage, "name">[] | undefined> {
    const bytes = await this.#manifest(child.digest);
    // an attestation that no client has asked for is nothing to stop at
    if (child.about !== undefined && (bytes === undefined || !(await this.#isWhole(bytes)))) return undefined;
    if (bytes !== undefined) return this.#tree(place, child.digest, bytes, depth);
    if (this.#input.platforms === undefined) return undefined;
    this.#miss(calledIn(place.site, place.repo, child.digest), `${child.platform ?? "a manifest"} of ${index} is not held`);
    return [];
  }

  async #isWhole(manifest: Buffer): Promise<boolean> {
    for (const part of anatomyOf(manifest).parts.filter(isFetchable))
      if ((await this.#parts.blobs.stat(part.digest)) === undefined) return false;
    return true;
  }

  async #image(place: Place, digest: Digest, parts: readonly NamedPart[]): Promise<Omit<DockerImage, "name">[]> {
    const own = parts.filter(isFetchable);
    for (const part of own) {
      const held = await this.#parts.blobs.stat(part.digest);
      if (held === undefined) return this.#missPart(place, digest, part);
      this.#blobs.set(part.digest, held.size);
    }
    const config = parts.find(({ role }) => role === "config");
    const isRunnable = config !== undefined && RUNNABLE.has(config.mediaType ?? "") && own.length === parts.length;
    return isRunnable
      ? [{ config: config.digest, layers: parts.filter((part) => part !== config).map((part) => part.digest) }]
      : [];
  }

  #missPart({ site, repo }: Place, digest: Digest, part: NamedPart): [] {
    this.#miss(calledIn(site, repo, digest), `its ${part.role} ${part.digest} is not held`);
    return [];
  }

  #miss(reference: string, why: string): void {
    this.#missing.set(reference, { reference, why });
  }

  #noneOf(children: readonly NamedPart[]): string {
    const { platforms } = this.#input;
    return platforms === undefined ? "no platform of it is held" : noneOf(children, platforms);
  }

  #take({ site, repo }: Place, digest: Digest, size: number): void {
    this.#blobs.set(digest, size);
    const name = `${site.host}/${repo}`;
    const known = this.#places.get(name) ?? { place: { site, repo }, digests: new Set() };
    this.#places.set(name, known);
    known.digests.add(digest);
  }

  /** Signatures and whatever else says that it belongs to one of the digests, as far as it is held with them. */
  async #referrers(place: Place, digests: ReadonlySet<Digest>): Promise<void> {
    for (const one of await referrersWithin(this.#parts, place, digests)) await this.#referrer(place, one);
  }

  async #referrer(place: Place, { digest, mediaType, tag }: Referring): Promise<void> {
    if (tag !== undefined) return this.#root(place, tag);
    const bytes = await this.#manifest(digest);
    if (bytes === undefined) return;
    const isNamed = [...this.#roots.values()].some((root) => root.digest === digest);
    if (!isNamed) this.#roots.set(digest, { digest, mediaType, size: bytes.length });
    await this.#tree(place, digest, bytes, 0);
  }
}

/** What `docker load` makes an image of. */
const RUNNABLE: ReadonlySet<string> = new Set([
  "application/vnd.oci.image.config.v1+json",
  "application/vnd.docker.container.image.v1+json",
]);

const sortedBy = <T>(things: T[], key: (thing: T) => string): T[] =>
  things.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
