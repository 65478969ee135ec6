// A body as a network brings it, in pieces, with a moment at which it waits and one at which it breaks off.
import { Readable } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";

/** Pieces of `size`, one a turn of the event loop, that break off before byte `cut`; `gate` is waited for after the first of them. */
export const inPieces = (bytes: Buffer, size: number, cut = bytes.length, gate: Promise<unknown> = Promise.resolve()): Readable =>
  Readable.from(
    (async function* () {
      for (let at = 0; at < Math.min(cut, bytes.length); at += size) {
        await turn();
        if (at === size) await gate;
        yield bytes.subarray(at, Math.min(at + size, cut));
      }
      if (cut < bytes.length) throw new Error("socket hang up");
    })(),
    { objectMode: false },
  );
