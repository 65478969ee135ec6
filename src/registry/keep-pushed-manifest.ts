// A manifest that is pushed, kept and linked once upstream has taken it. Held in memory while it goes by, and given up where it is longer
// than a manifest may be, or too many come at once.
import { algorithmOf, type Digest, digestOf, isDigest } from "../oci/digest.ts";
import { parseObject } from "../oci/json.ts";
import { bareType, MANIFEST_TYPES } from "../oci/media.ts";
import { MAX_MANIFEST } from "../oci/registry.ts";
import type { WriteRequest } from "../oci/request.ts";
import { keepManifest } from "./keep-manifest.ts";
import { type KeepPushParts, linkPushed, type Push, type Pushed, type Watch } from "./pushed.ts";

export const watchManifest = (parts: KeepPushParts, push: Push, request: WriteRequest): Watch => {
  const { waiting } = parts;
  let chunks: Buffer[] | undefined = (push.length ?? 0) > MAX_MANIFEST ? undefined : [];
  let size = 0;
  const { moment } = parts.deletes;
  const giveUp = () => {
    waiting.bytes -= chunks === undefined ? 0 : size;
    chunks = undefined;
  };
  return {
    offer(bytes) {
      if (chunks === undefined) return;
      if (size + bytes.length > MAX_MANIFEST || waiting.bytes + bytes.length > waiting.most) {
        giveUp();
        return;
      }
      chunks.push(bytes);
      size += bytes.length;
      waiting.bytes += bytes.length;
    },
    async over(pushed) {
      const bytes = chunks === undefined ? undefined : Buffer.concat(chunks);
      giveUp();
      return bytes === undefined ? undefined : keep(parts, push, request, { bytes, moment }, pushed);
    },
  };
};

const keep = async (
  parts: KeepPushParts,
  { mediaType = "", length }: Push,
  { repo, reference }: WriteRequest,
  { bytes, moment }: { readonly bytes: Buffer; readonly moment: number },
  pushed: Pushed | undefined,
): Promise<Digest | undefined> => {
  if (pushed?.status !== 201 || !pushed.isWhole || (length ?? bytes.length) !== bytes.length) return undefined;
  const type = bareType(mediaType);
  const digest = digestAs(bytes, reference, pushed.digest);
  if (digest === undefined || !isOfType(bytes, type)) return undefined;
  const descriptor = { mediaType: type, digest, size: bytes.length };
  const isKept = await keepManifest(parts, { descriptor, bytes, provenance: { source: "miss" }, metadata: {} });
  if (!isKept) return undefined;
  await linkPushed(parts, { repo, digest }, type, moment);
  return digest;
};

/** `undefined` where what it was pushed as, or what upstream calls it, is something else than what went by. */
const digestAs = (bytes: Buffer, reference: string | undefined, told: string | undefined): Digest | undefined => {
  const asked = reference !== undefined && isDigest(reference) ? reference : undefined;
  const isSo = (claim: string): claim is Digest => isDigest(claim) && digestOf(bytes, algorithmOf(claim)) === claim;
  const claims = [asked, told].filter((claim) => claim !== undefined);
  return claims.every(isSo) ? (claims[0] ?? digestOf(bytes)) : undefined;
};

/** As upstream will call it: types that it says of itself and that it was sent as must agree (image-spec, manifest.md). */
const isOfType = (bytes: Buffer, type: string): boolean => {
  if (!(MANIFEST_TYPES as readonly string[]).includes(type)) return false;
  const { mediaType = type } = parseObject(bytes) ?? { mediaType: "" };
  return mediaType === type;
};
