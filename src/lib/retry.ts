// When something that failed is tried again: after pauses that grow, with jitter, and not for ever. What gets somewhere begins anew:
// a few bytes a try are nowhere, or a line that always breaks would have us ask a hundred thousand times for one blob.

/** Bytes that are somewhere. */
const SOMEWHERE = 16 * 1024;

export interface RetryOptions {
  /** Tries in a row that may get nowhere. */
  readonly attempts: number;
  /** The first pause; each further one is three times as long. Milliseconds. */
  readonly first: number;
  /** No pause of our own is longer. Milliseconds. */
  readonly most: number;
  /** Who asks for a longer wait than this is not waited for. Milliseconds. */
  readonly longest: number;
}

export class Retry {
  readonly #options: RetryOptions;
  readonly #random: () => number;
  #barren = 0;
  #gained = 0;

  constructor(options: RetryOptions, random: () => number = Math.random) {
    this.#options = options;
    this.#random = random;
  }

  /** It has brought so many bytes more. */
  progressed(bytes: number): void {
    this.#gained += bytes;
    if (this.#gained >= SOMEWHERE) this.renew();
  }

  /** It is another thing now that is tried. */
  renew(): void {
    this.#barren = 0;
    this.#gained = 0;
  }

  /** How long to wait before the next try, in ms, at least what was `askedFor`; `undefined`: give up. */
  next(askedFor = 0): number | undefined {
    const { attempts, first, most, longest } = this.#options;
    this.#barren += 1;
    if (this.#barren >= attempts || askedFor > longest) return undefined;
    const grown = Math.min(first * 3 ** (this.#barren - 1), most);
    // many that were told to wait as long do not all come back at once
    return askedFor + grown * (0.5 + this.#random() / 2);
  }
}
