// What a manifest says that it is made of, for people to read: roles, sizes, platforms. All of it can be forged: it gives nobody a right.

import { type Digest, isDigest } from "./digest.ts";
import { parseObject } from "./json.ts";

export interface NamedPart {
  readonly role: "config" | "layer" | "manifest";
  readonly digest: Digest;
  readonly mediaType?: string;
  readonly size?: number;
  /** `linux/amd64`, `linux/arm/v7`. */
  readonly platform?: string;
  /** The entry of the same index that it says something of: an attestation of BuildKit's. */
  readonly about?: Digest;
}

export interface Anatomy {
  readonly mediaType: string | undefined;
  /** In the manifest's order. */
  readonly parts: readonly NamedPart[];
}

const REFERS_TO = "vnd.docker.reference.digest";

/** What is beyond is left out. */
export const MAX_PARTS = 1_000;

/** Of bytes that are no manifest: nothing. */
export const anatomyOf = (bytes: Uint8Array): Anatomy => {
  const { mediaType, config, layers, blobs, manifests } = parseObject(bytes) ?? {};
  const parts = [
    ...partsOf("manifest", manifests),
    ...partsOf("config", config === undefined ? [] : [config]),
    ...partsOf("layer", layers),
    ...partsOf("layer", blobs),
  ];
  return { mediaType: textOf(mediaType), parts: parts.slice(0, MAX_PARTS) };
};

const partsOf = (role: NamedPart["role"], descriptors: unknown): NamedPart[] => {
  if (!Array.isArray(descriptors)) return [];
  return descriptors.flatMap((descriptor): NamedPart[] => {
    const { digest, mediaType, size, platform, annotations } = recordOf(descriptor);
    if (typeof digest !== "string" || !isDigest(digest)) return [];
    const type = textOf(mediaType);
    const where = platformOf(recordOf(platform));
    const about = recordOf(annotations)[REFERS_TO];
    return [
      {
        role,
        digest,
        ...(type !== undefined && { mediaType: type }),
        ...(typeof size === "number" && Number.isSafeInteger(size) && size >= 0 && { size }),
        ...(where !== undefined && { platform: where }),
        ...(typeof about === "string" && isDigest(about) && { about }),
      },
    ];
  });
};

const platformOf = ({ os, architecture, variant }: Record<string, unknown>): string | undefined => {
  const names = [os, architecture, variant].map(textOf).filter((name) => name !== undefined);
  return names.length === 0 ? undefined : names.join("/");
};

const recordOf = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};

/** Without what a terminal would obey rather than show. */
const textOf = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value.slice(0, 200).replace(/[\p{Cc}\p{Cf}]/gu, "?") : undefined;
