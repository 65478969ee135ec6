// Answers as they come on the wire, read from a client's socket as slowly as a test likes, and told apart: whole, or broken off.
import type { Socket } from "node:net";

export interface Head {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
}

/** Told of a body's bytes and where they belong; the socket is not read until it resolves. False: no more is wanted. */
export type Taste = (bytes: Buffer, position: number) => Promise<boolean> | boolean;

const NOTHING = Buffer.alloc(0);

export class Wire {
  readonly #chunks: AsyncIterator<Buffer>;
  #pending: Buffer = NOTHING;

  constructor(socket: Socket) {
    this.#chunks = socket.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
  }

  /** `undefined`: the connection ended before it. */
  async head(): Promise<Head | undefined> {
    const text = await this.#until("\r\n\r\n");
    if (text === undefined) return undefined;
    const [first = "", ...lines] = text.split("\r\n");
    if (!first.startsWith("HTTP/1.1 ")) throw new Error("what comes is no answer");
    const headers = lines.map((line) => line.split(": ", 2) as [string, string]);
    return { status: Number(first.split(" ")[1]), headers: new Map(headers.map(([name, value]) => [name.toLowerCase(), value])) };
  }

  /** Whether the body came whole, by the lengths that it says of itself; one that is ended by its connection alone never is. */
  async body({ headers }: Head, taste: Taste): Promise<boolean> {
    const length = headers.get("content-length");
    if (length !== undefined) return this.#exactly(Number(length), 0, taste);
    if (headers.get("transfer-encoding") !== "chunked") {
      await this.#exactly(Number.POSITIVE_INFINITY, 0, taste);
      return false;
    }
    for (let position = 0; ; ) {
      const size = Number.parseInt((await this.#until("\r\n")) ?? "", 16);
      if (Number.isNaN(size)) return false;
      if (!(await this.#exactly(size, position, taste)) || (await this.#until("\r\n")) === undefined) return false;
      if (size === 0) return true;
      position += size;
    }
  }

  async #exactly(length: number, start: number, taste: Taste): Promise<boolean> {
    for (let taken = 0; taken < length; ) {
      if (this.#pending.length === 0 && !(await this.#more())) return false;
      const bytes = this.#pending.subarray(0, length - taken);
      this.#pending = this.#pending.subarray(bytes.length);
      if (!(await taste(bytes, start + taken))) return false;
      taken += bytes.length;
    }
    return true;
  }

  async #until(mark: string): Promise<string | undefined> {
    for (;;) {
      const at = this.#pending.indexOf(mark);
      if (at !== -1) {
        const text = this.#pending.toString("latin1", 0, at);
        this.#pending = this.#pending.subarray(at + mark.length);
        return text;
      }
      if (!(await this.#more())) return undefined;
    }
  }

  async #more(): Promise<boolean> {
    try {
      const { value, done } = await this.#chunks.next();
      if (done === true) return false;
      this.#pending = this.#pending.length === 0 ? value : Buffer.concat([this.#pending, value]);
      return true;
    } catch {
      return false;
    }
  }
}
