// One blob on its way to another registry: begun by POST, given whole by PATCH, named by PUT (distribution-spec, "Pushing a blob in chunks").
// After a connection that broke off the registry says how far it has come, and is given the rest; where it cannot say, it is begun anew.
import { Readable } from "node:stream";
import { pause } from "../lib/abort.ts";
import { Retry, type RetryOptions } from "../lib/retry.ts";
import { isOciError, OciError } from "../oci/error.ts";
import type { OpenBlob } from "../oci/pusher.ts";
import type { Repository } from "../oci/reference.ts";
import type { Blob, Context, Descriptor } from "../oci/registry.ts";
import { drop } from "./body.ts";
import { checkDigest, locationOf, scopeOf, type Write, withDigest } from "./write.ts";

export const RETRY: RetryOptions = { attempts: 5, first: 500, most: 10_000, longest: 60_000 };

interface Session {
  readonly location: URL;
  /** Bytes that the registry has. */
  readonly offset: number;
}

export interface UploadParts {
  readonly write: Write;
  readonly retry: RetryOptions;
}

export const upload = async (
  parts: UploadParts,
  repo: Repository,
  blob: Descriptor,
  open: OpenBlob,
  told: (bytes: number) => void,
  ctx: Context,
): Promise<void> => {
  const retry = new Retry(parts.retry);
  const sending = new Sending(parts.write, repo, blob, open, told, ctx);
  while (!(await sending.tried())) {
    const { failure } = sending;
    ctx.signal.throwIfAborted();
    retry.progressed(sending.gained());
    const ms = isWorthAnother(failure) ? retry.next(failure.retryAfterMs) : undefined;
    if (ms === undefined) throw failure;
    await pause(ms, ctx.signal);
  }
};

/** It could not be asked, or could not answer, this time; 416 and 404: it does not know the upload any more. What cannot be right stays so. */
export const isWorthAnother = (error: unknown): error is OciError =>
  isOciError(error) && !isLie(error) && (error.isOutage || error.code === "BLOB_UPLOAD_UNKNOWN" || error.status === 416);

const isLie = ({ code, upstream }: OciError): boolean =>
  code === "LOOP_DETECTED" || (code === "UPSTREAM_INVALID" && upstream === undefined);

class Sending {
  failure: unknown;
  readonly #write: Write;
  readonly #repo: Repository;
  readonly #blob: Descriptor;
  readonly #open: OpenBlob;
  readonly #told: (bytes: number) => void;
  readonly #ctx: Context;
  readonly #scope: string;
  #session: Session | undefined;
  /** The furthest byte that was given to the registry, and how far that was when it was asked last. */
  #furthest = 0;
  #counted = 0;

  constructor(write: Write, repo: Repository, blob: Descriptor, open: OpenBlob, told: (bytes: number) => void, ctx: Context) {
    this.#write = write;
    this.#repo = repo;
    this.#blob = blob;
    this.#open = open;
    this.#told = told;
    this.#ctx = ctx;
    this.#scope = scopeOf(repo);
  }

  /** True: it is there. Otherwise `failure` says why not. */
  async tried(): Promise<boolean> {
    try {
      const session = (await this.#resumed()) ?? (await this.#begun());
      await this.#finish(await this.#send(session));
      return true;
    } catch (error) {
      this.failure = error;
      return false;
    }
  }

  gained(): number {
    const gained = this.#furthest - this.#counted;
    this.#counted = this.#furthest;
    return gained;
  }

  async #begun(): Promise<Session> {
    const answer = await this.#write(
      { method: "POST", path: `/v2/${this.#repo}/blobs/uploads/`, expects: [202], scope: this.#scope },
      this.#ctx,
    );
    drop(answer.body);
    this.#session = { location: locationOf(answer, this.#write.origins), offset: 0 };
    return this.#session;
  }

  /** `undefined`: there is none, or the registry does not say how far it is. */
  async #resumed(): Promise<Session | undefined> {
    const session = this.#session;
    if (session === undefined) return undefined;
    this.#session = undefined;
    const asked = this.#write({ method: "GET", path: session.location.href, expects: [204], scope: this.#scope }, this.#ctx);
    const answer = await asked.catch((error: unknown) => {
      // also of an upload that it knows some registries tell nothing
      if (isOciError(error) && !error.isOutage) return undefined;
      throw error;
    });
    if (answer === undefined) return undefined;
    drop(answer.body);
    const [, end] = /^(?:bytes=)?0-(\d{1,15})$/.exec(answer.header("range") ?? "") ?? [];
    const offset = end === undefined || end === "0" ? 0 : Number(end) + 1;
    const size = this.#blob.size ?? Number.POSITIVE_INFINITY;
    if (offset === 0 || offset > size) return undefined;
    const location = answer.header("location") === undefined ? session.location : locationOf(answer, this.#write.origins);
    this.#session = { location, offset };
    return this.#session;
  }

  /** Gives all that is left. */
  async #send({ location, offset }: Session): Promise<URL> {
    const bodies = new Bodies(this.#open, this.#ctx);
    try {
      const size = (await bodies.first()).descriptor.size ?? this.#blob.size;
      if (this.#blob.size !== undefined && size !== this.#blob.size)
        throw new OciError("UPSTREAM_INVALID", `${this.#blob.digest} has ${size} bytes, and is named as ${this.#blob.size}`);
      if (size === offset) return location;
      const headers = {
        "content-type": "application/octet-stream",
        ...(size !== undefined && { "content-length": String(size - offset) }),
        ...(size !== undefined && offset > 0 && { "content-range": `${offset}-${size - 1}` }),
      };
      const body = async () => Readable.from(this.#from(await bodies.next(), offset), { objectMode: false });
      const sent = { method: "PATCH", path: location.href, headers, body, expects: [202, 201, 204], scope: this.#scope } as const;
      const answer = await this.#write(sent, this.#ctx);
      drop(answer.body);
      return locationOf(answer, this.#write.origins);
    } catch (error) {
      // what kept the bytes from coming weighs more than what the registry makes of that
      throw bodies.failure ?? error;
    } finally {
      bodies.end();
    }
  }

  async *#from(body: AsyncIterable<Buffer>, offset: number): AsyncGenerator<Buffer> {
    let position = 0;
    for await (const chunk of body) {
      const fresh = chunk.subarray(Math.min(chunk.length, Math.max(0, offset - position)));
      position += chunk.length;
      const gained = position - Math.max(this.#furthest, offset);
      this.#furthest = Math.max(this.#furthest, position);
      if (gained > 0) this.#told(Math.min(gained, chunk.length));
      if (fresh.length > 0) yield fresh;
    }
  }

  async #finish(location: URL): Promise<void> {
    const { digest } = this.#blob;
    const headers = { "content-length": "0" };
    const answer = await this.#write(
      { method: "PUT", path: withDigest(location, digest), headers, expects: [201, 204], scope: this.#scope },
      this.#ctx,
    );
    drop(answer.body);
    checkDigest(answer, digest);
  }
}

/** The bytes as often as they are sent: a challenge may come when some have gone already. */
class Bodies {
  failure: unknown;
  readonly #open: OpenBlob;
  readonly #ctx: Context;
  #unused: Blob | undefined;
  #current: Blob | undefined;

  constructor(open: OpenBlob, ctx: Context) {
    this.#open = open;
    this.#ctx = ctx;
  }

  async first(): Promise<Blob> {
    this.#unused = await this.#opened();
    return this.#unused;
  }

  async next(): Promise<Readable> {
    const { body } = this.#unused ?? (await this.#opened());
    this.#unused = undefined;
    return body;
  }

  end(): void {
    this.#current?.body.destroy();
  }

  async #opened(): Promise<Blob> {
    this.end();
    const blob = await this.#open(this.#ctx);
    this.#current = blob;
    blob.body.on("error", (error: unknown) => {
      this.failure ??= error;
    });
    return blob;
  }
}
