// What differs between two states of a tag: platforms, configurations, layers, and what refers to them. From what is held alone: what
// cannot be looked at is said.
import { setImmediate as turn } from "node:timers/promises";
import { anatomyOf } from "../oci/anatomy.ts";
import { type Digest, isDigest } from "../oci/digest.ts";
import { parseImageConfig } from "../oci/image-config.ts";
import { parseObject } from "../oci/json.ts";
import { isTag } from "../oci/reference.ts";
import { MAX_MANIFEST } from "../oci/registry.ts";
import { AdminError } from "./error.ts";
import type { DiffSide, ImageDiff, ReferrerEntry, TagDiff } from "./tags-answers.ts";
import { diffImages, type NotHeld } from "./tags-diff-image.ts";
import { stateOf, type TagParts } from "./tags-list.ts";
import type { TagDiffInput } from "./tags-operations.ts";
import { type NamedTag, otherThan, parseTag, pastOf, stateNamed } from "./tags-state.ts";

/** Images that are compared: an index names as many as whoever made it likes. */
const MAX_IMAGES = 100;
const MAX_REFERRERS = 100;
/** An attestation, which no engine pulls. */
const NO_PLATFORM = "unknown/unknown";

/** Throws INVALID, UNKNOWN_SITE, NOT_HELD. */
export const diffTag = async (parts: TagParts, input: TagDiffInput): Promise<TagDiff> => {
  const { sites, facts, blobs } = parts;
  const named = parseTag(input.reference, sites);
  const past = await pastOf(facts, named);
  const to = input.to === undefined ? past.fact?.digest : await stateNamed(facts, named, past, input.to);
  if (to === undefined)
    throw new AdminError("NOT_HELD", `${named.name} stands for nothing now: say what it is to be compared with`);
  const from = input.from === undefined ? otherThan(past, to) : await stateNamed(facts, named, past, input.from);
  if (from === undefined) throw new AdminError("NOT_HELD", `${named.name} has never been anything else here`);
  const notHeld: NotHeld[] = [];
  const before = await sideOf(parts, named, "from", from, notHeld);
  const after = await sideOf(parts, named, "to", to, notHeld);
  const platforms = { removed: without(before, after), added: without(after, before), same: [] as string[] };
  const images: ImageDiff[] = [];
  for (const [platform, image] of [...before.images].slice(0, MAX_IMAGES)) {
    await turn();
    const other = after.images.get(platform);
    if (other === undefined) continue;
    const diff =
      image === other ? undefined : await diffImages(blobs, platform === "" ? undefined : platform, [image, other], notHeld);
    if (diff !== undefined) images.push(diff);
    else if (image === other) platforms.same.push(platform);
  }
  return { reference: named.name, from: before.side, to: after.side, same: from === to, platforms, images, notHeld };
};

interface Side {
  readonly side: DiffSide;
  /** By platform; "" where it says none. */
  readonly images: ReadonlyMap<string, Digest>;
}

const without = (one: Side, other: Side): string[] => [...one.images.keys()].filter((platform) => !other.images.has(platform));

const sideOf = async (
  parts: TagParts,
  named: NamedTag,
  side: "from" | "to",
  digest: Digest,
  notHeld: NotHeld[],
): Promise<Side> => {
  const { facts, blobs } = parts;
  const state = (await stateOf(parts, named, { digest }))!;
  const bytes = await blobs.readAll(digest, MAX_MANIFEST);
  if (bytes === undefined) notHeld.push({ side, digest, what: "manifest" });
  const images = bytes === undefined ? new Map<string, Digest>() : await imagesOf(parts, digest, bytes);
  const mediaType =
    (await facts.link({ site: named.site.host, repo: named.repo, digest }))?.mediaType ??
    (bytes === undefined ? undefined : anatomyOf(bytes).mediaType);
  const referrers = await referrersOf(parts, named, digest);
  return {
    side: {
      ...state,
      ...(mediaType !== undefined && { mediaType }),
      platforms: [...images.keys()].filter((platform) => platform !== ""),
      ...(referrers !== undefined && { referrers }),
    },
    images,
  };
};

/** One that is said again is told apart by its number. */
const imagesOf = async ({ blobs }: TagParts, digest: Digest, bytes: Buffer): Promise<ReadonlyMap<string, Digest>> => {
  const { parts } = anatomyOf(bytes);
  const children = parts.filter(({ role, platform }) => role === "manifest" && platform !== NO_PLATFORM);
  if (children.length === 0) {
    const config = parts.find(({ role }) => role === "config");
    const configured = config === undefined ? undefined : await blobs.readAll(config.digest, MAX_MANIFEST);
    return new Map([[(configured && parseImageConfig(configured).platform) ?? "", digest]]);
  }
  const images = new Map<string, Digest>();
  for (const { platform = "", digest: child } of children) {
    let name = platform;
    for (let n = 2; images.has(name); n += 1) name = `${platform}#${n}`;
    images.set(name, child);
  }
  return images;
};

/** As told by the last list that is kept, or held here; and signatures by tag, as cosign has them. */
const referrersOf = async (
  { facts }: TagParts,
  { site, repo, key }: NamedTag,
  digest: Digest,
): Promise<readonly ReferrerEntry[] | undefined> => {
  const tagged: ReferrerEntry[] = [];
  for (const kind of ["sig", "att", "sbom"]) {
    const tag = `${digest.replace(":", "-")}.${kind}`;
    const found = isTag(tag) ? (await facts.tag({ ...key, tag }))?.digest : undefined;
    if (found !== undefined) tagged.push({ digest: found, tag });
  }
  if (site.kind === "local") {
    const rows = await facts.hosting.referrers({ site: site.host, repo, subject: digest }, { limit: MAX_REFERRERS });
    return [...rows.flatMap(({ descriptor }) => entryOf(parseObject(Buffer.from(descriptor)))), ...tagged];
  }
  const listing = await facts.listing({ site: site.host, repo, key: `referrers ${digest}` });
  if (listing === undefined) return tagged.length === 0 ? undefined : tagged;
  const { manifests } = parseObject(listing.bytes) ?? {};
  return [...(Array.isArray(manifests) ? manifests : []).slice(0, MAX_REFERRERS).flatMap(entryOf), ...tagged];
};

const entryOf = (descriptor: unknown): ReferrerEntry[] => {
  const { digest, artifactType } = (descriptor ?? {}) as Record<string, unknown>;
  if (typeof digest !== "string" || !isDigest(digest)) return [];
  const type = typeof artifactType === "string" ? artifactType.slice(0, 200).replace(/[\p{Cc}\p{Cf}]/gu, "?") : "";
  return [{ digest, ...(type !== "" && { artifactType: type }) }];
};
