// The bytes of one opened upstream into a stage, from where the stage is on: while one buffer is written and hashed, the other is filled.
import type { ByteStream } from "../lib/byte-stream.ts";
import { byteStreamOf } from "../lib/readable-source.ts";
import type { Stage } from "../store/blobs.ts";
import { FlightEnd } from "./flight-end.ts";
import { asTorn, type Opened } from "./opening.ts";

/** Bytes that are hashed and written at once. */
const PORTION = 256 * 1024;

/**
 * Resolves when the body has ended. Throws what broke it off, or what the store says; all that came before is then in the stage.
 * `between` is awaited before each read, and may end it.
 */
export const fillFrom = async ({ body, start, total }: Opened, stage: Stage, between: () => Promise<void>): Promise<void> => {
  const bytes = byteStreamOf(body);
  let writing: Promise<void> = Promise.resolve();
  let skip = stage.size - start;
  const buffers = twoBuffers(total);
  try {
    for (let turn = 0; ; turn = 1 - turn) {
      await between();
      const buffer = buffers[turn]!;
      const length = await read(bytes, buffer);
      await writing;
      if (length === 0) return;
      const fresh = buffer.subarray(Math.min(skip, length), length);
      skip -= length - fresh.length;
      if (fresh.length === 0) continue;
      if (total !== undefined && stage.size + fresh.length > total)
        throw new FlightEnd("length", "UPSTREAM_INVALID", `upstream sends more than the ${total} bytes that it promised`);
      writing = stage.append(fresh);
      // it is waited for above; until then its failure is nobody's surprise
      writing.catch(() => undefined);
    }
  } finally {
    bytes.destroy();
    // what had come is kept before upstream is asked for the rest; what the store says of it weighs more than a torn line
    await writing;
  }
};

const twoBuffers = (total: number | undefined): readonly Buffer[] => {
  const size = Math.min(PORTION, Math.max(1, total ?? PORTION));
  return [Buffer.allocUnsafeSlow(size), Buffer.allocUnsafeSlow(size)];
};

const read = async (bytes: ByteStream, into: Buffer): Promise<number> => {
  try {
    return await bytes.readInto(into);
  } catch (error) {
    throw asTorn(error);
  }
};
