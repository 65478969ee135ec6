// A whole body is checked on its way past the store; a part of one cannot be: it is given as it is.
import { byteStreamOf } from "../lib/readable-source.ts";
import { algorithmOf, hasherFor } from "../oci/digest.ts";
import { isWhole } from "../oci/range.ts";
import type { Blob } from "../oci/registry.ts";
import { checked } from "./checked.ts";

export const verified = (blob: Blob): Blob => {
  const { digest, size } = blob.descriptor;
  if (!isWhole(blob.range, size)) return blob;
  return { ...blob, body: checked(byteStreamOf(blob.body), digest, hasherFor(algorithmOf(digest))) };
};
