// Names of repositories and tags, checked once at the edge (distribution-spec, "Pulling manifests").
import { type Digest, parseDigest } from "./digest.ts";
import { OciError } from "./error.ts";

declare const brand: unique symbol;
export type Repository = string & { readonly [brand]: "Repository" };
export type Tag = string & { readonly [brand]: "Tag" };
export type Reference = Tag | Digest;

const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
/** Clients bound host + repository at 255 (distribution-spec); more can only be an attack on keys and paths. */
const MAX_REPOSITORY = 255;

export const isRepository = (text: string): text is Repository => text.length <= MAX_REPOSITORY && REPOSITORY.test(text);

/** Throws NAME_INVALID. */
export const parseRepository = (text: string): Repository => {
  if (!isRepository(text)) throw new OciError("NAME_INVALID", `invalid repository name: ${text.slice(0, 300)}`);
  return text;
};

export const isTag = (text: string): text is Tag => TAG.test(text);

/** A tag or a digest. Throws DIGEST_INVALID for what has a colon and is no digest, MANIFEST_INVALID for what is no tag. */
export const parseReference = (text: string): Reference => {
  if (text.includes(":")) return parseDigest(text);
  if (!isTag(text)) throw new OciError("MANIFEST_INVALID", `invalid tag: ${text.slice(0, 200)}`);
  return text;
};

/** No tag has a colon. */
export const isDigestReference = (reference: Reference): reference is Digest => reference.includes(":");
