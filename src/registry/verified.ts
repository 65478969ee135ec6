// A whole body on its way past the store: its last byte is held back until the digest is right, as a stage would do.
import { Transform } from "node:stream";
import { algorithmOf, type Digest, hasherFor } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import type { Blob } from "../oci/registry.ts";

/** A part of a blob cannot be checked: it is given as it is. */
export const verified = (blob: Blob): Blob =>
  blob.range === undefined ? { ...blob, body: blob.body.compose(check(blob.descriptor.digest)) } : blob;

const check = (digest: Digest): Transform => {
  const hasher = hasherFor(algorithmOf(digest));
  let held: Buffer | undefined;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hasher.update(chunk);
      if (held !== undefined) this.push(held);
      this.push(chunk.subarray(0, -1));
      held = chunk.subarray(-1);
      done();
    },
    flush(done) {
      if (hasher.digest() !== digest)
        return done(new OciError("UPSTREAM_INVALID", `upstream's bytes are not those of ${digest}`));
      done(null, held);
    },
  });
};
