// A bundle's pieces into a file, or down a pipe. The file is `….part` until it is whole and on the disk; what a writer that was killed has left of it is
// read back, and gone on with where it is what it should be.
import { constants, type FileHandle, open, rename, statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { Readable } from "node:stream";
import type { Progress } from "../admin/answers.ts";
import type { Content } from "../admin/content.ts";
import { syncFolder } from "../lib/sync-folder.ts";
import { about } from "../lib/units.ts";
import { algorithmOf, type Digest, type Hasher, hasherFor } from "../oci/digest.ts";
import { Persistence } from "./persist.ts";
import { type Piece, sizeOf } from "./pieces.ts";

export interface WriteParts {
  readonly pieces: readonly Piece[];
  readonly content: Pick<Content, "read">;
  readonly signal: AbortSignal;
  readonly progress: (progress: Progress) => void;
}

export interface Written {
  readonly bytes: number;
  /** Of these, what was there already. */
  readonly resumed: number;
}

interface Sink {
  /** Throws with what the user is to be told. */
  write(bytes: Buffer): Promise<void>;
}

/** What is read back at a time. Bytes. */
const PORTION = 1024 * 1024;

/** Where to go on: at a piece, and with a blob so far into it. */
interface Position {
  readonly piece: number;
  readonly offset: number;
  readonly into: number;
  readonly hasher: Hasher | undefined;
}

const BEGINNING: Position = { piece: 0, offset: 0, into: 0, hasher: undefined };

const totalOf = (pieces: readonly Piece[]): number => pieces.reduce((sum, piece) => sum + sizeOf(piece), 0);

export const writeToFile = async (path: string, parts: WriteParts): Promise<Written> => {
  const part = `${path}.part`;
  const total = totalOf(parts.pieces);
  const file = await open(part, constants.O_RDWR | constants.O_CREAT, 0o644);
  try {
    const position = await agreeing(file, parts, total);
    const resumed = position.offset + position.into;
    await mustFit(path, total - resumed);
    await file.truncate(resumed);
    const sink = fileSink(file, path, resumed, total);
    await new Writing(parts, sink, position, total, (at) => rewind(file, sink, at)).run();
    await file.sync();
    await rename(part, path);
    await syncFolder(dirname(resolve(path)));
    return { bytes: total, resumed };
  } finally {
    await file.close();
  }
};

/** Nothing that went down a pipe comes back: what is wrong there ends it. */
export const writeToPipe = async (out: NodeJS.WritableStream, parts: WriteParts): Promise<Written> => {
  const total = totalOf(parts.pieces);
  const write = (bytes: Buffer) =>
    new Promise<void>((done, fail) =>
      out.write(bytes, (error) => (error ? fail(new Error(`the output broke off: ${error.message}`)) : done())),
    );
  await new Writing(parts, { write }, BEGINNING, total, undefined).run();
  return { bytes: total, resumed: 0 };
};

interface FileSink extends Sink {
  position: number;
}

const fileSink = (file: FileHandle, path: string, from: number, total: number): FileSink => {
  const sink: FileSink = {
    position: from,
    async write(bytes) {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await file.write(bytes, done, bytes.length - done, sink.position).catch((error: unknown) => {
          throw asFull(error, path, sink.position, total);
        });
        done += bytesWritten;
        sink.position += bytesWritten;
      }
    },
  };
  return sink;
};

const rewind = async (file: FileHandle, sink: FileSink, at: number): Promise<void> => {
  await file.truncate(at);
  sink.position = at;
};

const asFull = (error: unknown, path: string, done: number, total: number): unknown => {
  const { code = "" } = error as NodeJS.ErrnoException;
  if (!["ENOSPC", "EDQUOT", "EFBIG"].includes(code)) return error;
  return new Error(
    `${path} does not fit where it is to be (${code}): ${about(done)} of ${about(total)} are written. They are kept in ${path}.part: with room made there, the same command goes on from them`,
  );
};

/** Before anything is written: half a bundle on a full disk is in everybody's way. */
const mustFit = async (path: string, bytes: number): Promise<void> => {
  const { bavail, bsize } = await statfs(dirname(resolve(path)));
  if (bavail * bsize < bytes)
    throw new Error(`${path} needs ${about(bytes)} more, and ${about(bavail * bsize)} are free where it is to be`);
};

/** How far the file is what it should be. Of a blob that is not whole the bytes are believed until its end tells. */
const agreeing = async (file: FileHandle, { pieces, signal, progress }: WriteParts, total: number): Promise<Position> => {
  const { size } = await file.stat();
  let offset = 0;
  for (const [piece, expected] of pieces.entries()) {
    const length = sizeOf(expected);
    const there = Math.min(length, size - offset);
    const hasher = "digest" in expected ? hasherFor(algorithmOf(expected.digest)) : undefined;
    const isSame = await compare(file, offset, there, expected, hasher, signal);
    const isWhole = there === length && isSame;
    if (!isWhole)
      return hasher !== undefined && there < length && there > 0
        ? { piece, offset, into: there, hasher }
        : { piece, offset, into: 0, hasher: undefined };
    offset += length;
    progress({ done: offset, total, unit: "bytes", at: "what is there already" });
  }
  return { piece: pieces.length, offset, into: 0, hasher: undefined };
};

const compare = async (
  file: FileHandle,
  offset: number,
  length: number,
  expected: Piece,
  hasher: Hasher | undefined,
  signal: AbortSignal,
): Promise<boolean> => {
  const buffer = Buffer.allocUnsafeSlow(Math.min(PORTION, Math.max(1, length)));
  for (let done = 0; done < length; ) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, length - done), offset + done);
    if (bytesRead === 0) return false;
    const bytes = buffer.subarray(0, bytesRead);
    if (hasher !== undefined) hasher.update(bytes);
    else if ("bytes" in expected && !expected.bytes.subarray(done, done + bytesRead).equals(bytes)) return false;
    done += bytesRead;
  }
  return hasher === undefined || !("digest" in expected) || length < expected.size || hasher.copy().digest() === expected.digest;
};

class Writing {
  readonly #parts: WriteParts;
  readonly #sink: Sink;
  readonly #position: Position;
  readonly #total: number;
  /** Back to that byte; `undefined`: there is no way back. */
  readonly #rewind: ((to: number) => Promise<void>) | undefined;
  readonly #persistence: Persistence;
  #done: number;

  constructor(
    parts: WriteParts,
    sink: Sink,
    position: Position,
    total: number,
    rewind: ((to: number) => Promise<void>) | undefined,
  ) {
    this.#parts = parts;
    this.#sink = sink;
    this.#position = position;
    this.#total = total;
    this.#rewind = rewind;
    this.#persistence = new Persistence(parts.signal);
    this.#done = position.offset + position.into;
  }

  async run(): Promise<void> {
    const { piece: first, into, hasher } = this.#position;
    for (const [i, piece] of this.#parts.pieces.entries()) {
      if (i < first) continue;
      this.#parts.signal.throwIfAborted();
      if ("bytes" in piece) await this.#put(piece.bytes);
      else if (i > first || hasher === undefined)
        await this.#blob(piece.digest, piece.size, 0, hasherFor(algorithmOf(piece.digest)));
      else await this.#resume(piece.digest, piece.size, into, hasher);
    }
  }

  /** The end tells whether what was left there was right: if not, it is written anew. */
  async #resume(digest: Digest, size: number, into: number, hasher: Hasher): Promise<void> {
    try {
      await this.#blob(digest, size, into, hasher);
    } catch (error) {
      if (!(error instanceof Spoilt) || this.#rewind === undefined) throw error;
      this.#done = this.#position.offset;
      await this.#rewind(this.#done);
      await this.#blob(digest, size, 0, hasherFor(algorithmOf(digest)));
    }
  }

  async #blob(digest: Digest, size: number, into: number, hasher: Hasher): Promise<void> {
    let done = into;
    await this.#persistence.run(async () => {
      if (done === size && size > 0) return;
      const body = await this.#parts.content.read(digest, done, this.#parts.signal);
      done = await this.#pour(body, digest, size, done, hasher, (now) => {
        done = now;
      });
      if (done < size) throw Object.assign(new Error(`${digest} ended at byte ${done} of ${size}`), { code: "ECONNRESET" });
    });
    if (hasher.digest() !== digest) throw new Spoilt(digest);
  }

  async #pour(
    body: Readable,
    digest: Digest,
    size: number,
    from: number,
    hasher: Hasher,
    told: (done: number) => void,
  ): Promise<number> {
    let done = from;
    try {
      for await (const chunk of body as AsyncIterable<Buffer>) {
        if (done + chunk.length > size) throw new Spoilt(digest);
        await this.#put(chunk, digest);
        hasher.update(chunk);
        done += chunk.length;
        told(done);
        this.#persistence.progressed(chunk.length);
      }
    } finally {
      body.destroy();
    }
    return done;
  }

  async #put(bytes: Buffer, at?: string): Promise<void> {
    await this.#sink.write(bytes);
    this.#done += bytes.length;
    this.#parts.progress({ done: this.#done, total: this.#total, unit: "bytes", ...(at !== undefined && { at }) });
  }
}

class Spoilt extends Error {
  constructor(digest: Digest) {
    super(
      `what came is not ${digest}: the store has a spoilt blob (\`layover cache verify\` finds it), and nothing wrong is written into a bundle`,
    );
    this.name = "Spoilt";
  }
}
