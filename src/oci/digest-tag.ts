// Tags that are named for a digest: cosign's `sha256-….sig`, and `sha256-…` of registries without a referrers API (distribution-spec,
// "Referrers Tag Schema"). A tag with a commit's hash in it, as in `main-<40 hex>`, is none.
import { type Digest, isDigest } from "./digest.ts";

/** `undefined`: it is a tag like any other. */
export const digestNamedBy = (tag: string): Digest | undefined => {
  const [, algorithm, hex] = /^(sha256|sha512)-([0-9a-f]+)(?:\.[\w.-]+)?$/.exec(tag) ?? [];
  const digest = `${algorithm}:${hex}`;
  return isDigest(digest) ? digest : undefined;
};
