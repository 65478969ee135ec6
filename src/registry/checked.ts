// A body on its way past the store: its last byte is held back until the digest is right, as a stage would do.
import { type ByteSource, ByteStream } from "../lib/byte-stream.ts";
import type { Digest, Hasher } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";

/** `hasher` knows what came before, and is this one's own. */
export const checked = (body: ByteStream, digest: Digest, hasher: Hasher): ByteStream =>
  new ByteStream(new Checked(body, digest, hasher));

class Checked implements ByteSource {
  readonly #body: ByteStream;
  readonly #digest: Digest;
  readonly #hasher: Hasher;
  readonly #held = Buffer.alloc(1);
  #hasHeld = false;
  #isOver = false;

  constructor(body: ByteStream, digest: Digest, hasher: Hasher) {
    this.#body = body;
    this.#digest = digest;
    this.#hasher = hasher;
  }

  async read(into: Buffer): Promise<number> {
    while (!this.#isOver) {
      const length = await this.#readOn(into);
      if (length > 0) return length;
    }
    return 0;
  }

  leave(): void {
    this.#body.destroy();
  }

  release(): void {}

  /** The byte that was held goes first; the last that came is held. May give none although there are more. */
  async #readOn(into: Buffer): Promise<number> {
    const first = this.#hasHeld ? 1 : 0;
    const next = Buffer.alloc(1);
    const room = into.length > first ? into.subarray(first) : next;
    const length = await this.#body.readInto(room);
    if (first === 1) this.#held.copy(into);
    if (length === 0) return this.#end(first);
    this.#hasher.update(room.subarray(0, length));
    this.#held[0] = room[length - 1]!;
    this.#hasHeld = true;
    return first + length - 1;
  }

  #end(held: number): number {
    if (this.#hasher.digest() !== this.#digest)
      throw new OciError("UPSTREAM_INVALID", `upstream's bytes are not those of ${this.#digest}`);
    this.#isOver = true;
    return held;
  }
}
