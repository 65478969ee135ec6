// Which parts of an image are wanted: platforms by name, and nothing that is not this registry's to give.
import type { NamedPart } from "./anatomy.ts";

/** An index in an index in an index: nobody builds more. */
export const MAX_DEPTH = 4;

/** Foreign layers are elsewhere (image-spec, layer.md "Non-Distributable Layers"). */
export const isFetchable = ({ role, mediaType = "" }: NamedPart): boolean =>
  role !== "manifest" && !/nondistributable|\.foreign\./.test(mediaType);

export type Platforms = "all" | readonly string[];

/** Of the entries of an index; what is about one of them, as an attestation is, comes with it. */
export const wantedOf = (children: readonly NamedPart[], platforms: Platforms): readonly NamedPart[] => {
  if (platforms === "all") return children;
  const chosen = new Set(children.filter(({ platform }) => platforms.some((wanted) => isSame(wanted, platform))));
  const digests = new Set([...chosen].map(({ digest }) => digest));
  return children.filter((child) => chosen.has(child) || (child.about !== undefined && digests.has(child.about)));
};

/** Without a variant every one of it; arm64 has none but v8. What says nothing of a platform is for all. */
const isSame = (wanted: string, platform: string | undefined): boolean =>
  platform === undefined ||
  platform === wanted ||
  platform.startsWith(`${wanted}/`) ||
  (platform === "linux/arm64" && wanted === "linux/arm64/v8");

/** For people: that none of them is there, and what is. */
export const noneOf = (children: readonly NamedPart[], platforms: Platforms): string => {
  const there = [...new Set(children.map(({ platform = "none" }) => platform))].slice(0, 20);
  return `no ${[platforms].flat().join(" or ")} among its platforms: ${there.join(", ")}`;
};
