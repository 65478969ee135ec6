// Answers that are blobs, whole or in part: streamed, counted, and never ended cleanly short of what was promised.
import { type Readable, Transform } from "node:stream";
import type { Digest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import { type ByteRange, parseContentRange, type RangeRequest } from "../oci/range.ts";
import type { Blob, BlobRead, BlobStat, Context } from "../oci/registry.ts";
import { invalid, lengthOf, MISS, metadataOf, typeOf } from "./answer.ts";
import type { Received } from "./transport.ts";

const BLOB_TYPE = "application/octet-stream";

export const statOfBlob = (answer: Received, digest: Digest): BlobStat => {
  typeOf(answer);
  return { descriptor: { mediaType: BLOB_TYPE, digest, size: lengthOf(answer) }, provenance: MISS, metadata: metadataOf(answer) };
};

export const readBlob = (answer: Received, { digest, range }: BlobRead, ctx: Context): Blob => {
  typeOf(answer);
  const part = answer.status === 206 ? parseContentRange(answer.header("content-range")) : undefined;
  if (answer.status === 206 && (part === undefined || range === undefined || !isWhatWasAsked(range, part))) {
    throw invalid(answer, `Content-Range ${answer.header("content-range") ?? "is missing"}`);
  }
  const length = lengthOf(answer);
  const size = part === undefined ? length : part.total;
  if (part !== undefined && length !== undefined && length !== part.end - part.start + 1)
    throw invalid(answer, "the length of its range");
  return {
    descriptor: { mediaType: BLOB_TYPE, digest, size },
    body: counted(answer.body, part === undefined ? length : part.end - part.start + 1, ctx),
    range: part === undefined ? undefined : { start: part.start, end: part.end },
    provenance: MISS,
    metadata: metadataOf(answer),
  };
};

const isWhatWasAsked = (range: RangeRequest, { start, end, total }: ByteRange & { total: number | undefined }): boolean => {
  if ("suffix" in range) return total !== undefined && end === total - 1 && start === Math.max(0, total - range.suffix);
  return start === range.start && (range.end === undefined ? total === undefined || end === total - 1 : end <= range.end);
};

/** Counts what passes, and errors where less comes than was promised, or more. */
const counted = (body: Readable, length = Number.NaN, ctx: Context): Readable => {
  let seen = 0;
  const counter = new Transform({
    highWaterMark: 256 * 1024,
    transform(chunk: Buffer, _encoding, done) {
      seen += chunk.length;
      ctx.tally.upstreamBytes += chunk.length;
      if (seen > length) done(new OciError("UPSTREAM_INVALID", `upstream sends more than the ${length} bytes it promised`));
      else done(null, chunk);
    },
    flush(done) {
      done(seen < length ? new OciError("UPSTREAM_UNREACHABLE", `upstream broke off after ${seen} of ${length} bytes`) : null);
    },
    destroy(error, done) {
      body.destroy();
      done(error);
    },
  });
  // it may break off before anybody reads it: its reader finds the error then, and no process ends of it
  counter.on("error", () => undefined);
  body.on("error", (error) => {
    const isOurs = ctx.signal.aborted || error instanceof OciError;
    counter.destroy(isOurs ? error : new OciError("UPSTREAM_UNREACHABLE", "upstream broke off", { cause: error }));
  });
  return body.pipe(counter);
};
