// The bytes of a bundle, by their digests: read for an export, put for an import. So whoever has the admin token reads every image that is held.
// What is put is kept only where it is what it is called, is nobody's until a manifest is imported that names it, and makes way like anything else.
import type { Readable } from "node:stream";
import { algorithmOf, type Digest } from "../oci/digest.ts";
import { fillFrom } from "../registry/filling.ts";
import { refusingFull } from "../registry/upload.ts";
import type { BlobStore } from "../store/blobs.ts";
import { AdminError, asAdminError } from "./error.ts";

/** Throws AdminError. */
export interface Content {
  /** From this byte to the end. Throws NOT_HELD. */
  read(digest: Digest, start: number, signal: AbortSignal): Promise<Readable>;
  /** Returns when it is verified and on the disk. The body is read or destroyed. Throws INVALID where it is another, FULL. */
  put(digest: Digest, size: number, body: Readable, signal: AbortSignal): Promise<void>;
}

export interface WithContent {
  readonly content: Content;
}

export const contentOf = (blobs: BlobStore): Content => ({
  async read(digest, start) {
    const held = await blobs.stat(digest);
    if (held === undefined) throw new AdminError("NOT_HELD", `${digest} is not held`);
    if (start >= held.size && start > 0) throw new AdminError("INVALID", `${digest} has ${held.size} bytes`);
    const range = start === 0 ? undefined : { start, end: held.size - 1 };
    const body = await blobs.read(digest, range);
    if (body === undefined) throw new AdminError("NOT_HELD", `${digest} is not held any more`);
    return body;
  },
  async put(digest, size, body, signal) {
    const leave = () => body.destroy(signal.reason as Error);
    if (signal.aborted) leave();
    signal.addEventListener("abort", leave, { once: true });
    try {
      await refusingFull(fill(blobs, digest, size, body));
    } catch (error) {
      throw asAdminError(error);
    } finally {
      signal.removeEventListener("abort", leave);
      body.destroy();
    }
  },
});

const fill = async (blobs: BlobStore, digest: Digest, size: number, body: Readable): Promise<void> => {
  const stage = await blobs.stage(size, algorithmOf(digest));
  try {
    await fillFrom({ body, start: 0, total: size }, stage, () => Promise.resolve());
    if (stage.size !== size) throw new AdminError("INVALID", `of ${digest} ${stage.size} bytes came, and ${size} were announced`);
    if (!(await stage.verify(digest))) throw new AdminError("INVALID", `what came is not ${digest}`);
    await stage.commit();
  } finally {
    await stage.discard(new Error("the stage is over"));
  }
};
