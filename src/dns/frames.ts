// Messages out of a stream: two octets of length before each (RFC 1035 4.2.2). Holds one chunk and one torn message at most.
import { HEADER } from "./wire.ts";

export class Frames {
  readonly #most: number;
  #held: Buffer = Buffer.alloc(0);

  /** Octets of the longest message that is taken. */
  constructor(most: number) {
    this.#most = most;
  }

  get isTorn(): boolean {
    return this.#held.length > 0;
  }

  add(chunk: Buffer): void {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
  }

  /** `malformed` as soon as a length is one that no message has. */
  next(): Buffer | "malformed" | undefined {
    if (this.#held.length < 2) return undefined;
    const length = this.#held.readUInt16BE(0);
    if (length < HEADER || length > this.#most) return "malformed";
    if (this.#held.length < 2 + length) return undefined;
    const message = this.#held.subarray(2, 2 + length);
    this.#held = this.#held.subarray(2 + length);
    return message;
  }
}

export const frame = (message: Buffer): Buffer => {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
};
