// Bodies of answers that are read whole: never more than is sensible, never for ever, and never one that broke off.
import type { Dispatcher } from "undici";
import { TimedOut } from "../lib/abort.ts";
import { OciError } from "../oci/error.ts";

type Body = Dispatcher.ResponseData["body"];

/** For the whole of such a body: an upstream that drips would keep an idle limit from ever ending it. Milliseconds. */
const WITHIN = 60_000;
/** What is left of an answer that nobody wants may take this long, so that its connection can be used again. Milliseconds. */
const DROP_WITHIN = 2_000;

/** Throws UPSTREAM_INVALID past `limit` bytes, UPSTREAM_UNREACHABLE when it breaks off. The body is destroyed in any case. */
export const readBounded = async (body: Body, limit: number): Promise<Buffer> => {
  const { bytes, isWhole } = await readUpTo(body, limit);
  if (!isWhole) throw new OciError("UPSTREAM_INVALID", `upstream sends more than ${limit} bytes`);
  return bytes;
};

/** The first `limit` bytes, and whether that was all. Throws UPSTREAM_UNREACHABLE, or what the request was aborted with. */
export const readUpTo = async (body: Body, limit: number): Promise<{ bytes: Buffer; isWhole: boolean }> => {
  const late = setTimeout(() => body.destroy(new TimedOut(WITHIN)), WITHIN);
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > limit) return { bytes: Buffer.concat(chunks).subarray(0, limit), isWhole: false };
    }
  } catch (error) {
    if (error instanceof OciError || (error instanceof Error && error.name === "AbortError")) throw error;
    throw new OciError("UPSTREAM_UNREACHABLE", "upstream broke off", { cause: error });
  } finally {
    clearTimeout(late);
    body.destroy();
  }
  return { bytes: Buffer.concat(chunks), isWhole: true };
};

/** Takes what little is left, or tears the connection. Nobody waits for it, and it never fails. */
export const drop = (body: Body): void =>
  void body.dump({ limit: 64 * 1024, signal: AbortSignal.timeout(DROP_WITHIN) }).catch(() => undefined);
