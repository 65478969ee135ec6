// Byte ranges (RFC 9110 §14): one range, or none. Several ranges are answered whole, as the RFC allows.
import { OciError } from "./error.ts";

/** As asked for. `{ start }` to the end, `{ start, end }` both inclusive, `{ suffix }` the last n bytes. */
export type RangeRequest = { readonly start: number; readonly end?: number } | { readonly suffix: number };

/** Resolved against a size: bytes start..end, both inclusive. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

const RANGE = /^bytes=(\d{1,15})?-(\d{1,15})?$/;

/**
 * `undefined` where the header is absent, has several ranges, or is in another unit or malformed: these are ignored (RFC 9110 §14.2).
 * One that ends before it starts may be ignored or refused (§14.1.1): RANGE_INVALID, as the registries themselves say.
 */
export const parseRange = (header: string | undefined): RangeRequest | undefined => {
  const match = header === undefined ? null : RANGE.exec(header.replaceAll(" ", ""));
  if (match === null) return undefined;
  const [, first, last] = match;
  if (first === undefined) return last === undefined ? undefined : { suffix: Number(last) };
  const start = Number(first);
  if (last === undefined) return { start };
  if (Number(last) < start) throw new OciError("RANGE_INVALID", `a range that ends before it starts: ${start}-${last}`);
  return { start, end: Number(last) };
};

/** Throws RANGE_INVALID where no byte of the range exists (416). */
export const resolveRange = (range: RangeRequest, size: number): ByteRange => {
  const start = "suffix" in range ? Math.max(0, size - range.suffix) : range.start;
  const end = "suffix" in range ? size - 1 : Math.min(range.end ?? size - 1, size - 1);
  if (start >= size || ("suffix" in range && range.suffix === 0)) {
    throw new OciError("RANGE_INVALID", `range not satisfiable: the blob has ${size} bytes`);
  }
  return { start, end };
};

export const formatRange = (range: RangeRequest): string =>
  "suffix" in range ? `bytes=-${range.suffix}` : `bytes=${range.start}-${range.end ?? ""}`;

export interface ContentRange extends ByteRange {
  /** `undefined` for `*`. */
  readonly total: number | undefined;
}

const CONTENT_RANGE = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/;

export const parseContentRange = (header: string | undefined): ContentRange | undefined => {
  const match = CONTENT_RANGE.exec(header ?? "");
  if (match === null) return undefined;
  const [start, end] = [Number(match[1]), Number(match[2])];
  const total = match[3] === "*" ? undefined : Number(match[3]);
  if (end < start || (total !== undefined && end >= total)) return undefined;
  return { start, end, total };
};

/** Whether it is all of a body of `size` bytes: some clients ask for the whole as a range. Of an unknown size no range is known to be. */
export const isWhole = (range: ByteRange | undefined, size: number | undefined): boolean =>
  range === undefined || (range.start === 0 && range.end + 1 === size);

const CHUNK_RANGE = /^(?:bytes )?(\d{1,15})-(\d{1,15})(?:\/(?:\d{1,15}|\*))?$/;

/** `Content-Range` of a chunk that is uploaded: `start-end`, both inclusive (distribution-spec, "Pushing a blob in chunks"). Throws BLOB_UPLOAD_INVALID. */
export const parseChunkRange = (header: string | undefined): ByteRange | undefined => {
  if (header === undefined) return undefined;
  const match = CHUNK_RANGE.exec(header.trim());
  const [start, end] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || end < start) throw new OciError("BLOB_UPLOAD_INVALID", `no range of a chunk: ${header.slice(0, 100)}`);
  return { start, end };
};
