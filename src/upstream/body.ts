// Bodies of answers that are read whole: never more than is sensible, and never one that broke off.
import type { Readable } from "node:stream";
import { OciError } from "../oci/error.ts";

/** Throws UPSTREAM_INVALID past `limit` bytes, UPSTREAM_UNREACHABLE when it breaks off. The body is destroyed in any case. */
export const readBounded = async (body: Readable, limit: number): Promise<Buffer> => {
  const { bytes, isWhole } = await readUpTo(body, limit);
  if (!isWhole) throw new OciError("UPSTREAM_INVALID", `upstream sends more than ${limit} bytes`);
  return bytes;
};

/** The first `limit` bytes, and whether that was all. */
export const readUpTo = async (body: Readable, limit: number): Promise<{ bytes: Buffer; isWhole: boolean }> => {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > limit) return { bytes: Buffer.concat(chunks).subarray(0, limit), isWhole: false };
    }
  } catch (error) {
    if (error instanceof Error && error.name === "AbortError") throw error;
    throw new OciError("UPSTREAM_UNREACHABLE", "upstream broke off", { cause: error });
  } finally {
    body.destroy();
  }
  return { bytes: Buffer.concat(chunks), isWhole: true };
};
