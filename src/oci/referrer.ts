// How a manifest with a subject is listed among the referrers of that (distribution-spec, "Listing Referrers").
import type { Digest } from "./digest.ts";
import type { Submitted } from "./submitted.ts";

export const descriptorOf = ({ mediaType, artifactType, annotations }: Submitted, digest: Digest, size: number) => ({
  mediaType,
  digest,
  size,
  ...(artifactType !== "" && { artifactType }),
  ...(annotations !== undefined && { annotations }),
});
