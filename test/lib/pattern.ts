// Bodies that are told apart at every byte: each has a pattern of its own whose period no buffer's length divides,
// so that bytes of another body, or of another place in this one, are noticed wherever they begin.
import { createHash } from "node:crypto";
import type { ByteSource } from "../../src/lib/byte-stream.ts";

/** A prime, so that it shares no factor with any buffer. */
const PERIOD = 65_521;

/** Each twice in a row, so that a whole period can be taken from any place in it. */
const patterns = new Map<number, Buffer>();

const patternOf = (seed: number): Buffer => {
  const known = patterns.get(seed);
  if (known !== undefined) return known;
  const once = createHash("shake256", { outputLength: PERIOD }).update(`pattern ${seed}`).digest();
  const made = Buffer.concat([once, once]);
  patterns.set(seed, made);
  return made;
};

/** Writes the bytes of body `seed` that belong at `position` over all of `into`. */
export const paint = (into: Uint8Array, seed: number, position: number): void => {
  const pattern = patternOf(seed);
  for (let done = 0; done < into.length; ) {
    const from = (position + done) % PERIOD;
    const length = Math.min(PERIOD, into.length - done);
    into.set(pattern.subarray(from, from + length), done);
    done += length;
  }
};

export const painted = (seed: number, length: number, position = 0): Buffer => {
  const bytes = Buffer.alloc(length);
  paint(bytes, seed, position);
  return bytes;
};

/** Whether `bytes` are those of body `seed` at `position`. */
export const isPainted = (bytes: Buffer, seed: number, position: number): boolean => {
  const pattern = patternOf(seed);
  for (let done = 0; done < bytes.length; ) {
    const from = (position + done) % PERIOD;
    const length = Math.min(PERIOD, bytes.length - done);
    if (bytes.compare(pattern, from, from + length, done, done + length) !== 0) return false;
    done += length;
  }
  return true;
};

export interface PaintedOptions {
  readonly seed: number;
  readonly size: number;
  /** How much is given at a time, in turn; as much as fits without. */
  readonly cuts?: readonly number[];
  /** Rejects when it has come this far. */
  readonly failsAt?: number;
  /** Ends when it has come this far. */
  readonly endsAt?: number;
  /** How long a read takes, in ms, in turn; a turn of the event loop at 0, none where it is `undefined`. */
  readonly takes?: readonly (number | undefined)[];
}

/** A source of a painted body, that reads as a disk does: whoever leaves meanwhile, a read under way still writes into its buffer. */
export class PaintedSource implements ByteSource {
  readonly #options: PaintedOptions;
  #position = 0;
  #reads = 0;
  #isReading = false;
  leaves = 0;
  releases = 0;
  /** Lengths of the buffers that it was given. */
  readonly buffers: number[] = [];
  /** What a reader did that it must not do. */
  readonly faults: string[] = [];

  constructor(options: PaintedOptions) {
    this.#options = options;
  }

  get isOver(): boolean {
    return this.leaves === 1 && this.releases === 1 && !this.#isReading;
  }

  async read(into: Buffer): Promise<number> {
    if (this.#isReading) this.faults.push("read twice at once");
    if (this.releases > 0) this.faults.push("read after its release");
    this.#isReading = true;
    this.buffers.push(into.length);
    const { seed, size, cuts = [], takes = [], failsAt = Number.POSITIVE_INFINITY, endsAt = size } = this.#options;
    const turn = this.#reads;
    this.#reads += 1;
    await took(takes.length === 0 ? undefined : takes[turn % takes.length]);
    this.#isReading = false;
    if (this.#position >= failsAt) throw new Error("torn");
    const cut = cuts.length === 0 ? into.length : cuts[turn % cuts.length]!;
    const length = Math.min(into.length, cut, Math.min(endsAt, failsAt) - this.#position);
    paint(into.subarray(0, length), seed, this.#position);
    this.#position += length;
    return length;
  }

  leave(): void {
    this.leaves += 1;
  }

  release(): void {
    if (this.#isReading) this.faults.push("released in the middle of a read");
    this.releases += 1;
  }
}

const took = (ms: number | undefined): Promise<void> | undefined => {
  if (ms === undefined) return undefined;
  return new Promise((resolve) => void (ms === 0 ? setImmediate(resolve) : setTimeout(resolve, ms)));
};
