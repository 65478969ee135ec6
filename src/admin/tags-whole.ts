// Whether an image can be pulled from here without anybody else, and what it lacks: bytes, or the link without which they are served to
// nobody. The images of an index that were never here have been left out of it: one that is whole is enough.
import { anatomyOf, type NamedPart } from "../oci/anatomy.ts";
import type { Digest } from "../oci/digest.ts";
import type { Repository } from "../oci/reference.ts";
import { MAX_MANIFEST } from "../oci/registry.ts";
import type { Site } from "../sites.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { FactStore } from "../store/facts.ts";
import type { MissingEntry, Wholeness } from "./tags-answers.ts";

/** Digests that are looked at for one image: what it names is the work of whoever made it. */
const MAX_LOOKED_AT = 5_000;
const MAX_DEPTH = 2;
/** An attestation, which no engine pulls (BuildKit's attestation storage). */
const NO_PLATFORM = "unknown/unknown";

export interface WholeParts {
  readonly blobs: Pick<BlobStore, "stat" | "readAll">;
  readonly facts: Pick<FactStore, "link">;
}

export interface Place {
  readonly site: Site;
  readonly repo: Repository;
}

export interface Looked {
  readonly held: Wholeness;
  /** Its manifest is here, and known to be this repository's. */
  readonly isThere: boolean;
  readonly missing: readonly MissingEntry[];
}

export const lookAt = async (parts: WholeParts, place: Place, root: Digest): Promise<Looked> => {
  const looking = new Looking(parts, place);
  const lacks = await looking.manifest({ role: "manifest", digest: root }, MAX_DEPTH);
  const isThere = !lacks.some(({ digest }) => digest === root);
  const held = lacks.length === 0 ? "whole" : isThere ? "partly" : "no";
  return { held, isThere, missing: lacks };
};

class Looking {
  readonly #parts: WholeParts;
  readonly #place: Place;
  readonly #seen = new Map<Digest, readonly MissingEntry[]>();

  constructor(parts: WholeParts, place: Place) {
    this.#parts = parts;
    this.#place = place;
  }

  /** What it lacks. */
  async manifest(part: NamedPart, depth: number): Promise<readonly MissingEntry[]> {
    const before = this.#seen.get(part.digest);
    if (before !== undefined) return before;
    if (this.#seen.size >= MAX_LOOKED_AT) return [];
    const own = await this.#lacking(part, true);
    const lacks = own.length > 0 || depth < 0 ? own : await this.#within(part, depth);
    this.#seen.set(part.digest, lacks);
    return lacks;
  }

  async #within({ digest }: NamedPart, depth: number): Promise<readonly MissingEntry[]> {
    const bytes = await this.#parts.blobs.readAll(digest, MAX_MANIFEST);
    const { parts } = bytes === undefined ? { parts: [] } : anatomyOf(bytes);
    const lacks: MissingEntry[] = [];
    for (const part of parts.filter(isPulled)) lacks.push(...(await this.#blob(part)));
    const children = parts.filter(({ role, platform }) => role === "manifest" && platform !== NO_PLATFORM);
    const leftOut: MissingEntry[] = [];
    for (const child of children) {
      const lacking = await this.manifest(child, depth - 1);
      const isHere = !lacking.some((one) => one.digest === child.digest);
      (isHere ? lacks : leftOut).push(...lacking.map((one) => of(child, one)));
    }
    if (children.length > 0 && leftOut.length === children.length) lacks.push(...leftOut);
    return lacks;
  }

  async #blob(part: NamedPart): Promise<readonly MissingEntry[]> {
    if (this.#seen.size >= MAX_LOOKED_AT) return [];
    const lacking = this.#seen.get(part.digest) ?? (await this.#lacking(part, false));
    this.#seen.set(part.digest, lacking);
    return lacking;
  }

  async #lacking({ role, digest, platform }: NamedPart, isManifest: boolean): Promise<MissingEntry[]> {
    const { site, repo } = this.#place;
    const entry = { digest, role, ...(platform !== undefined && { platform }) };
    if ((await this.#parts.blobs.stat(digest)) === undefined) return [{ ...entry, why: "not held" }];
    const link = await this.#parts.facts.link({ site: site.host, repo, digest });
    const isLinked = link !== undefined && (site.kind !== "local" || link.hostedAt !== undefined);
    return isLinked && (!isManifest || link.mediaType !== undefined) ? [] : [{ ...entry, why: "not linked" }];
  }
}

/** So that one sees for whom it is missing. */
const of = ({ platform }: NamedPart, entry: MissingEntry): MissingEntry =>
  platform === undefined || entry.platform !== undefined ? entry : { ...entry, platform };

/** Foreign layers are elsewhere, and not this registry's to give (image-spec, layer.md "Non-Distributable Layers"). */
const isPulled = ({ role, mediaType = "" }: NamedPart): boolean =>
  role !== "manifest" && !/nondistributable|\.foreign\./.test(mediaType);
