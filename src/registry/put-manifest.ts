// A manifest that is pushed to a hosted site: received whole, looked at, stored with what it names, linked if all of that is there, and
// then tagged.
import { createdOfAnnotations } from "../oci/created.ts";
import { algorithmOf, type Digest, digestOf } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import type { NewManifest, PutManifest } from "../oci/hosted.ts";
import { isDigestReference, type Tag } from "../oci/reference.ts";
import { descriptorOf } from "../oci/referrer.ts";
import { parseSubmitted, type Submitted } from "../oci/submitted.ts";
import type { Referrer } from "../store/hosting.ts";
import type { HostedParts } from "./hosted.ts";
import { moveTag, refuseMoving } from "./hosted-tags.ts";
import { storeManifest } from "./keep-manifest.ts";
import { goneAgain, refusingFull } from "./upload.ts";

/** More would have to be a mistake. */
const MOST_TAGS = 100;

/** With all of its bytes. */
type Received = Omit<NewManifest, "body"> & { readonly bytes: Buffer };

export const putManifest = async (parts: HostedParts, manifest: Received): Promise<PutManifest> => {
  const { site, facts, blobs, clock } = parts;
  const { repo, reference, bytes } = manifest;
  const tags = tagsOf(manifest);
  const submitted = parseSubmitted(bytes, manifest.mediaType);
  const { mediaType, needs, subject } = submitted;
  const digest = isDigestReference(reference) ? reference : digestOf(bytes);
  if (digestOf(bytes, algorithmOf(digest)) !== digest)
    throw new OciError("DIGEST_INVALID", `the ${bytes.length} bytes that came are not ${digest}`);
  await refuseTags(parts, manifest, tags, digest);
  await refusingFull(storeManifest(blobs, bytes, digest, submitted.parts));
  const referrer = referrerOf(submitted, digest, bytes.length);
  const missing = await facts.hosting.host({ site: site.host, repo, digest }, { mediaType, at: clock(), needs, referrer });
  if (missing.includes(digest)) throw goneAgain();
  if (missing.length > 0)
    throw new OciError(
      "MANIFEST_BLOB_UNKNOWN",
      `${repo} has not all that this manifest names: ${missing.slice(0, 10).join(", ")}`,
    );
  const created = createdOfAnnotations(submitted.annotations);
  for (const tag of tags) await moveTag(parts, repo, tag, digest, created);
  return { digest, subject };
};

const tagsOf = ({ reference, tags }: Received): readonly Tag[] => {
  if (tags.length > MOST_TAGS) throw new OciError("TOO_LARGE", `no more than ${MOST_TAGS} tags at once`);
  return [...new Set(isDigestReference(reference) ? tags : [reference, ...tags])];
};

/** Before anything is stored: a manifest whose tag may not move leaves nothing behind. */
const refuseTags = async (parts: HostedParts, { repo }: Received, tags: readonly Tag[], digest: Digest): Promise<void> => {
  for (const tag of tags) {
    const refusal = parts.policy.refusal(repo, tag);
    if (refusal !== undefined) throw refusal;
    const now = await parts.facts.tag({ site: parts.site.host, repo, tag });
    if (now?.digest !== digest) refuseMoving(parts, repo, tag, now);
  }
};

export const referrerOf = (submitted: Submitted, digest: Digest, size: number): Referrer | undefined => {
  const { subject, artifactType } = submitted;
  if (subject === undefined) return undefined;
  return { subject, artifactType, descriptor: JSON.stringify(descriptorOf(submitted, digest, size)) };
};
