// A part of a file, read by position into the reader's own buffer, and closed when the reader is over.
import type { FileHandle } from "node:fs/promises";
import type { ByteSource } from "../lib/byte-stream.ts";

/** Reads at least one byte: where there should be one and is none, somebody has cut the file, and a short body must not end cleanly. */
export const readAt = async (file: FileHandle, into: Buffer, position: number): Promise<number> => {
  const { bytesRead } = await file.read(into, 0, into.length, position);
  if (bytesRead === 0) throw new Error("a file is shorter than it was");
  return bytesRead;
};

/** The bytes from one position to another, both inclusive. */
export class FileSource implements ByteSource {
  readonly #file: Promise<FileHandle>;
  readonly #end: number;
  #position: number;

  /** The file is this one's to close, also when it is still being opened. */
  constructor(file: Promise<FileHandle>, start: number, end: number) {
    this.#file = file;
    this.#position = start;
    this.#end = end;
    // it may not open before anybody reads: its reader finds the error then, and no process ends of it
    file.catch(() => undefined);
  }

  async read(into: Buffer): Promise<number> {
    const file = await this.#file;
    const left = this.#end + 1 - this.#position;
    if (left <= 0) return 0;
    const length = await readAt(file, left < into.length ? into.subarray(0, left) : into, this.#position);
    this.#position += length;
    return length;
  }

  leave(): void {}

  release(): void {
    void this.#file.then((file) => file.close()).catch(() => undefined);
  }
}
