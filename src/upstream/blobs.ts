// Answers that are blobs, whole or in part: streamed, counted, and never ended cleanly short of what was promised.
import type { Readable } from "node:stream";
import { type ByteSource, ByteStream } from "../lib/byte-stream.ts";
import { ReadableSource } from "../lib/readable-source.ts";
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
const counted = (body: Readable, length: number | undefined, ctx: Context): ByteStream =>
  new ByteStream(new Counted(new ReadableSource(body), length, ctx));

class Counted implements ByteSource {
  readonly #inner: ByteSource;
  readonly #length: number;
  readonly #ctx: Context;
  #seen = 0;

  constructor(inner: ByteSource, length = Number.NaN, ctx: Context) {
    this.#inner = inner;
    this.#length = length;
    this.#ctx = ctx;
  }

  async read(into: Buffer): Promise<number> {
    const length = await this.#inner.read(into).catch((error: unknown) => {
      if (this.#ctx.signal.aborted || error instanceof OciError) throw error;
      throw new OciError("UPSTREAM_UNREACHABLE", "upstream broke off", { cause: error });
    });
    this.#seen += length;
    this.#ctx.tally.upstreamBytes += length;
    if (this.#seen > this.#length)
      throw new OciError("UPSTREAM_INVALID", `upstream sends more than the ${this.#length} bytes it promised`);
    if (length === 0 && this.#seen < this.#length)
      throw new OciError("UPSTREAM_UNREACHABLE", `upstream broke off after ${this.#seen} of ${this.#length} bytes`);
    return length;
  }

  leave(): void {
    this.#inner.leave();
  }

  release(): void {
    this.#inner.release();
  }
}
