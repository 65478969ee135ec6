// `/api/v1/content/<digest>`: a bundle's bytes over the admin listener. GET gives them from a byte on (Range: bytes=N-), PUT takes them whole.
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Digest, isDigest } from "../oci/digest.ts";
import type { Content } from "./content.ts";
import { AdminError } from "./error.ts";

const PATH = "/api/v1/content/";
/** A client sends one after the other. */
const PUTS_AT_ONCE = 16;

export const isContent = (path: string): boolean => path.startsWith(PATH);

export const contentPath = (digest: Digest): string => `${PATH}${digest}`;

interface Request {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly method: string;
  readonly path: string;
}

export class ContentRoute {
  readonly #content: Content;
  #puts = 0;

  constructor(content: Content) {
    this.#content = content;
  }

  /** Who asks has been admitted. Throws AdminError while nothing has been answered. */
  async answer({ req, res, method, path }: Request, gone: AbortSignal): Promise<void> {
    const digest = path.slice(PATH.length);
    if (!isDigest(digest)) throw new AdminError("INVALID", "expected a sha256 or sha512 digest");
    if (method === "GET") return this.#give(digest, startOf(req.headers.range), res, gone);
    if (method === "PUT") return this.#take(digest, req, res, gone);
    res.setHeader("allow", "GET, PUT");
    throw new AdminError("METHOD_NOT_ALLOWED", "content takes GET and PUT only");
  }

  async #give(digest: Digest, start: number, res: ServerResponse, gone: AbortSignal): Promise<void> {
    const body = await this.#content.read(digest, start, gone);
    res.writeHead(start === 0 ? 200 : 206, { "content-type": "application/octet-stream", "cache-control": "no-store" });
    // what breaks it off, on either side, has cut the connection: nothing more can be said on it
    await pipeline(body, res, { signal: gone }).catch(() => res.destroy());
  }

  async #take(digest: Digest, req: IncomingMessage, res: ServerResponse, gone: AbortSignal): Promise<void> {
    const size = Number(req.headers["content-length"] ?? Number.NaN);
    if (!Number.isSafeInteger(size)) throw new AdminError("INVALID", "its length has to be announced");
    if (this.#puts >= PUTS_AT_ONCE) throw new AdminError("BUSY", `${PUTS_AT_ONCE} others are being sent`);
    this.#puts += 1;
    try {
      // a request whose body is destroyed takes its answer with it
      const body = Readable.from(req.iterator({ destroyOnReturn: false }), { objectMode: false });
      await this.#content.put(digest, size, body, gone);
    } finally {
      this.#puts -= 1;
    }
    res.writeHead(204, { "cache-control": "no-store" }).end();
  }
}

const startOf = (range: string | undefined): number => {
  if (range === undefined) return 0;
  const [, digits] = /^bytes=(\d{1,16})-$/.exec(range) ?? [];
  if (digits === undefined || !Number.isSafeInteger(Number(digits))) throw new AdminError("INVALID", "expected Range: bytes=N-");
  return Number(digits);
};
