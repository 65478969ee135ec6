// Answers that are manifests: read whole, and held against the digest that was asked for or is claimed.

import { algorithmOf, type Digest, digestOf, isDigest } from "../oci/digest.ts";
import { parseObject } from "../oci/json.ts";
import { isSchema1 } from "../oci/media.ts";
import { isDigestReference, type Reference } from "../oci/reference.ts";
import { type Context, MAX_MANIFEST, type Manifest, type ManifestStat } from "../oci/registry.ts";
import { invalid, lengthOf, MISS, metadataOf, typeOf } from "./answer.ts";
import { readBounded } from "./body.ts";
import type { Received } from "./transport.ts";

/** Types that say nothing: the body tells more. */
const GENERIC = new Set(["application/octet-stream", "application/json", "text/plain", ""]);

export const readManifest = async (answer: Received, reference: Reference, ctx: Context): Promise<Manifest> => {
  const type = typeOf(answer);
  const length = lengthOf(answer);
  const bytes = await readBounded(answer.body, MAX_MANIFEST);
  ctx.tally.upstreamBytes += bytes.length;
  if (length !== undefined && length !== bytes.length) throw invalid(answer, `${bytes.length} bytes of ${length}`);
  const content = parseObject(bytes);
  if (content === undefined) throw invalid(answer, "what should be a manifest is no JSON object");
  const mediaType = GENERIC.has(type) ? (ownType(content) ?? (type || "application/json")) : type;
  const digest = isSchema1(mediaType) ? claimedDigest(answer, reference, bytes) : checkedDigest(answer, reference, bytes);
  return { descriptor: { mediaType, digest, size: bytes.length }, bytes, provenance: MISS, metadata: metadataOf(answer) };
};

/** What a body calls itself, if that can stand in a header (RFC 6838 §4.2). */
const ownType = ({ mediaType }: Record<string, unknown>): string | undefined =>
  typeof mediaType === "string" && /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+$/.test(mediaType) ? mediaType.toLowerCase() : undefined;

/** Against what was asked for, or by tag against what upstream itself says; with neither, what the bytes say. */
const checkedDigest = (answer: Received, reference: Reference, bytes: Buffer): Digest => {
  const expected = isDigestReference(reference) ? reference : claimOf(answer);
  const digest = digestOf(bytes, expected === undefined ? "sha256" : algorithmOf(expected));
  if (expected !== undefined && digest !== expected) throw invalid(answer, `it is ${digest}, not ${expected}`);
  return digest;
};

/** Schema 1 is signed outside of what its digest covers: upstream's word is all there is, and nothing of it is kept. */
const claimedDigest = (answer: Received, reference: Reference, bytes: Buffer): Digest =>
  isDigestReference(reference) ? reference : (claimOf(answer) ?? digestOf(bytes));

const claimOf = (answer: Received): Digest | undefined => {
  const claim = answer.header("docker-content-digest") ?? "";
  return isDigest(claim) ? claim : undefined;
};

/** `undefined` where HEAD does not tell enough. */
export const statOfHead = (answer: Received, reference: Reference): ManifestStat | undefined => {
  const digest = isDigestReference(reference) ? reference : claimOf(answer);
  const mediaType = typeOf(answer);
  const size = lengthOf(answer);
  // a length of nothing is some load balancer's idea of HEAD
  if (digest === undefined || size === undefined || size === 0 || GENERIC.has(mediaType)) return undefined;
  return { descriptor: { mediaType, digest, size }, provenance: MISS, metadata: metadataOf(answer) };
};
