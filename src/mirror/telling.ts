// Keeps account of how far a sync has come, and tells it: at once where a step or an image changes, bytes a few times a second.
import type { Tally } from "../oci/registry.ts";
import type { ImageProgress, SyncProgress } from "./outcome.ts";

/** Milliseconds. */
const TELL_EVERY = 50;

/** One image of those under way. */
export interface ImageTelling {
  step(step: ImageProgress["step"]): void;
  /** Bytes that are found to belong to it, and bytes of these that are there. */
  add(bytes: number): void;
  came(bytes: number): void;
  /** It is done with. */
  end(): void;
}

interface Image {
  readonly tally: Tally;
  readonly name: string;
  step: ImageProgress["step"];
  done: number;
  total: number;
}

export class Telling {
  readonly #progress: (progress: SyncProgress) => void;
  readonly #images = new Set<Image>();
  #step: SyncProgress["step"] = "listing";
  #done = 0;
  #total: number | undefined;
  /** Of what is done with. */
  #fetched = 0;
  #waiting: SyncProgress["waiting"];
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(progress: (progress: SyncProgress) => void) {
    this.#progress = progress;
  }

  /** Another part of the work begins; `total`: tags, where that is known. */
  begin(step: SyncProgress["step"], total?: number): void {
    this.#step = step;
    this.#done = 0;
    this.#total = total;
    this.#tell();
  }

  more(tags: number): void {
    this.#total = (this.#total ?? 0) + tags;
    this.#tell();
  }

  done(): void {
    this.#done += 1;
    this.#tell();
  }

  /** `undefined`: nobody waits any more. */
  waits(waiting: SyncProgress["waiting"]): void {
    if (waiting === undefined && this.#waiting === undefined) return;
    this.#waiting = waiting;
    this.#tell();
  }

  /** Bytes that were fetched for no image. */
  spent({ upstreamBytes }: Tally): void {
    this.#fetched += upstreamBytes;
  }

  image(name: string, tally: Tally): ImageTelling {
    const image: Image = { tally, name, step: "reading", done: 0, total: 0 };
    this.#images.add(image);
    this.#tell();
    return {
      step: (step) => {
        image.step = step;
        this.#tell();
      },
      add: (bytes) => {
        image.total += bytes;
      },
      came: (bytes) => {
        image.done += bytes;
        if (performance.now() - this.#toldAt >= TELL_EVERY) this.#tell();
      },
      end: () => {
        if (!this.#images.delete(image)) return;
        this.#fetched += tally.upstreamBytes;
        this.done();
      },
    };
  }

  get fetched(): number {
    return [...this.#images].reduce((sum, { tally }) => sum + tally.upstreamBytes, this.#fetched);
  }

  #tell(): void {
    this.#toldAt = performance.now();
    this.#progress({
      step: this.#step,
      done: this.#done,
      ...(this.#total !== undefined && { total: this.#total }),
      fetched: this.fetched,
      images: [...this.#images].map(({ name, step, done, total }) => ({ name, step, done, total })),
      ...(this.#waiting !== undefined && { waiting: this.#waiting }),
    });
  }
}
