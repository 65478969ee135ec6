// One upload: bytes that come in any number of requests, by one writer at a time, and are a blob when they have the digest that they
// should. A connection that breaks off takes nothing from what has come.
import type { Readable } from "node:stream";
import type { Clock } from "../lib/clock.ts";
import type { Algorithm, Digest } from "../oci/digest.ts";
import { isOciError, OciError } from "../oci/error.ts";
import type { Chunk, UploadState } from "../oci/hosted.ts";
import type { Repository } from "../oci/reference.ts";
import { type BlobStore, type Stage, StoreFull } from "../store/blobs.ts";
import { fillFrom } from "./filling.ts";

/** Whose it is: everything that has to be the same for an id to be known. */
export interface Owner {
  readonly repo: Repository;
  readonly subject: string;
}

export interface Opening extends Owner {
  readonly client: string;
  readonly algorithm: Algorithm | undefined;
}

type Incoming = Pick<Chunk, "body" | "range" | "length">;

interface UploadParts {
  readonly id: string;
  readonly opening: Opening;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly silence: number;
  readonly believed: number;
  /** Others that are idle end. False: there were none. */
  readonly makeWay: () => Promise<boolean>;
  readonly over: () => void;
}

export class Upload {
  readonly #parts: UploadParts;
  /** Made when the first bytes come: who only asks holds no file open. */
  #stage: Stage | undefined;
  #writer: Readable | undefined;
  #isOver = false;
  touchedAt: number;

  constructor(parts: UploadParts) {
    this.#parts = parts;
    this.touchedAt = parts.clock();
  }

  get opening(): Opening {
    return this.#parts.opening;
  }

  get isBusy(): boolean {
    return this.#writer !== undefined;
  }

  get state(): UploadState {
    return { id: this.#parts.id, size: this.#stage?.size ?? 0 };
  }

  /** Throws BLOB_UPLOAD_INVALID, SIZE_INVALID, STORE_FULL. */
  async append(incoming: Incoming): Promise<void> {
    await this.#writing(incoming, (stage) => this.#fill(stage, incoming));
  }

  /** The same; then it is over, and a verified blob. Throws DIGEST_INVALID too. */
  async finish(incoming: Incoming, digest: Digest): Promise<void> {
    await this.#writing(incoming, async (stage) => {
      await this.#fill(stage, incoming);
      this.#end();
      try {
        if (!(await stage.verify(digest)))
          throw new OciError("DIGEST_INVALID", `the ${stage.size} bytes that came are not ${digest}`);
        await stage.commit();
      } finally {
        await stage.discard(new Error("the upload is over"));
      }
    });
  }

  async cancel(): Promise<void> {
    this.#end();
    this.#writer?.destroy(new Error("the upload is over"));
    if (this.#writer === undefined) await this.#stage?.discard(new Error("the upload is over"));
  }

  #end(): void {
    this.#isOver = true;
    this.#parts.over();
  }

  async #writing(incoming: Incoming, write: (stage: Stage) => Promise<void>): Promise<void> {
    this.#admit(incoming);
    this.#writer = incoming.body;
    try {
      this.#stage ??= await this.#begin(incoming.length);
      await write(this.#stage);
    } catch (error) {
      // of what the store says nothing can be made good: the stage is lost with it
      if (!isOciError(error)) this.#end();
      throw asRefusal(error);
    } finally {
      this.#writer = undefined;
      this.touchedAt = this.#parts.clock();
      if (this.#isOver) await this.#stage?.discard(new Error("the upload is over"));
    }
  }

  async #begin(length = 0): Promise<Stage> {
    const { blobs, makeWay, believed } = this.#parts;
    const stage = () => blobs.stage(Math.min(length, believed), this.opening.algorithm);
    try {
      return await stage();
    } catch (error) {
      if (!(error instanceof StoreFull) || !(await makeWay())) throw error;
      return stage();
    }
  }

  #admit({ range, length }: Incoming): void {
    const { size } = this.state;
    if (this.isBusy) throw new OciError("BLOB_UPLOAD_INVALID", "somebody else is writing to this upload");
    if (range === undefined) return;
    if (range.start !== size) throw new OciError("BLOB_UPLOAD_INVALID", `byte ${size} is next, not ${range.start}`);
    if (length !== undefined && length !== range.end - range.start + 1)
      throw new OciError("SIZE_INVALID", `Content-Range and Content-Length (${length}) do not agree`);
  }

  async #fill(stage: Stage, { body, range, length }: Incoming): Promise<void> {
    const start = stage.size;
    const total = range === undefined ? (length === undefined ? undefined : start + length) : range.end + 1;
    const watch = this.#watch(stage, body);
    try {
      await fillFrom({ body, start, total }, stage, () => Promise.resolve());
    } catch (error) {
      if (!isOciError(error)) throw error;
      throw new OciError("SIZE_INVALID", `the body is not whole: ${stage.size - start} bytes of it came`, { cause: error });
    } finally {
      clearInterval(watch);
    }
    if (total !== undefined && stage.size !== total)
      throw new OciError("SIZE_INVALID", `${total - start} bytes were to come, and ${stage.size - start} did`);
  }

  #watch(stage: Stage, body: Readable): NodeJS.Timeout {
    let seen = stage.size;
    return setInterval(() => {
      if (stage.size === seen) body.destroy(new Error("nothing comes any more"));
      seen = stage.size;
    }, this.#parts.silence).unref();
  }
}

const asRefusal = (error: unknown): unknown =>
  error instanceof StoreFull
    ? new OciError("STORE_FULL", `there is no room for it here: ${error.message}`, { cause: error })
    : error;

/** Bytes that came and had to make way for others, before they were anybody's. */
export const goneAgain = (): OciError => new OciError("STORE_FULL", "there is no room for it here: others needed it at once");

/** The same for whatever else is stored. */
export const refusingFull = async <T>(work: Promise<T>): Promise<T> => {
  try {
    return await work;
  } catch (error) {
    throw asRefusal(error);
  }
};
