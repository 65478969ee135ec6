// Manifests on their way in, which are held in memory whole: only so many at once, none for long, and none that is too large.
import type { Readable } from "node:stream";
import { Places } from "../lib/places.ts";
import { OciError } from "../oci/error.ts";
import { MAX_MANIFEST } from "../oci/registry.ts";

const AT_ONCE = { perClient: 16, inAll: 64 };
/** Of a body that small nobody needs longer. Milliseconds. */
const WITHIN = 60_000;

/** Throws TOO_LARGE and TOOMANYREQUESTS, which leave the rest unread, and SIZE_INVALID. */
export type Receive = (body: Readable, client: string) => Promise<Buffer>;

export const receiving = (within = WITHIN): Receive => {
  const places = new Places(AT_ONCE);
  return async (body, client) => {
    if (!places.admit(client)) throw new OciError("TOOMANYREQUESTS", "too many manifests come at once", { retryAfterMs: 1_000 });
    const timer = setTimeout(() => body.destroy(new Error("it comes too slowly")), within);
    try {
      return await wholeOf(body);
    } finally {
      clearTimeout(timer);
      places.takeBack(client);
    }
  };
};

const wholeOf = async (body: Readable): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    // left open, so that a refusal can still be answered on the same connection
    for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MAX_MANIFEST) break;
      chunks.push(chunk);
    }
  } catch (error) {
    throw new OciError("SIZE_INVALID", `the body is not whole: ${length} bytes of it came`, { cause: error });
  }
  if (length > MAX_MANIFEST) throw new OciError("TOO_LARGE", `a manifest has at most ${MAX_MANIFEST} bytes here`);
  return Buffer.concat(chunks);
};
