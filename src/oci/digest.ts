// Content digests: `algorithm:hex`, checked once at the edge, then safe as a path and as a key (OCI image-spec, descriptor.md#digests).
import { createHash, type Hash } from "node:crypto";
import { OciError } from "./error.ts";

declare const brand: unique symbol;
export type Digest = string & { readonly [brand]: "Digest" };
export type Algorithm = "sha256" | "sha512";

const SHAPE = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export const isDigest = (text: string): text is Digest => SHAPE.test(text);

/** Throws DIGEST_INVALID: the wrong form, or an algorithm other than sha256 and sha512. */
export const parseDigest = (text: string): Digest => {
  if (!isDigest(text)) throw new OciError("DIGEST_INVALID", `not a sha256 or sha512 digest: ${text.slice(0, 200)}`);
  return text;
};

export const algorithmOf = (digest: Digest): Algorithm => digest.slice(0, digest.indexOf(":")) as Algorithm;
export const hexOf = (digest: Digest): string => digest.slice(digest.indexOf(":") + 1);

/** A hash that is fed bytes and asked once, at the end, for the digest of the same algorithm. */
export interface Hasher {
  readonly algorithm: Algorithm;
  update(bytes: Uint8Array): void;
  digest(): Digest;
  /** Another that goes on from here by itself. */
  copy(): Hasher;
}

export const hasherFor = (algorithm: Algorithm): Hasher => hasherOver(algorithm, createHash(algorithm));

const hasherOver = (algorithm: Algorithm, hash: Hash): Hasher => ({
  algorithm,
  update: (bytes) => void hash.update(bytes),
  digest: () => `${algorithm}:${hash.digest("hex")}` as Digest,
  copy: () => hasherOver(algorithm, hash.copy()),
});

export const digestOf = (bytes: Uint8Array, algorithm: Algorithm = "sha256"): Digest => {
  const hasher = hasherFor(algorithm);
  hasher.update(bytes);
  return hasher.digest();
};
