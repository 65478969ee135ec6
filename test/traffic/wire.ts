// A client of bytes: requests are written as they were recorded, answers read by RFC 9112 alone, so that no HTTP library smooths anything.
import type { TLSSocket } from "node:tls";

export interface WireAnswer {
  readonly status: number;
  /** Lower-case names; repeated ones joined by a comma. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

const END_OF_HEAD = "\r\n\r\n";

export class Wire {
  readonly #socket: TLSSocket;
  #held = Buffer.alloc(0);
  #ended = false;
  #wake = () => {};

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.setNoDelay(true); // each piece at once, not when the one before is acknowledged
    socket.on("data", (chunk: Buffer) => {
      this.#held = Buffer.concat([this.#held, chunk]);
      this.#wake();
    });
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    socket.on("error", end).on("close", end).on("end", end);
  }

  /** Each piece in a record of its own. */
  async send(...pieces: readonly (string | Buffer)[]): Promise<void> {
    for (const piece of pieces) await new Promise<void>((resolve) => this.#socket.write(piece, () => resolve()));
  }

  /** The next answer, or its first `most` bytes. Throws where the connection ends before that, and on what no HTTP server may send. */
  async answer(isHead: boolean, most = Number.POSITIVE_INFINITY): Promise<WireAnswer> {
    const head = (await this.#until(END_OF_HEAD)).toString("latin1");
    const [first = "", ...lines] = head.slice(0, -END_OF_HEAD.length).split("\r\n");
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(first)?.[1]);
    if (Number.isNaN(status)) throw new Error(`no status line: ${first}`);
    const headers = headersOf(lines);
    if (isHead || status === 204 || status === 304) return { status, headers, body: Buffer.alloc(0) };
    return { status, headers, body: await this.#body(headers, most) };
  }

  /** What came that nobody asked for: on a sound connection nothing. */
  get rest(): number {
    return this.#held.length;
  }

  close(): void {
    this.#socket.destroy();
  }

  async #body(headers: ReadonlyMap<string, string>, most: number): Promise<Buffer> {
    const length = headers.get("content-length");
    const isChunked = headers.get("transfer-encoding") === "chunked";
    if ((length === undefined) !== isChunked) throw new Error("an answer is framed in one way, and in one alone");
    if (length !== undefined) return this.#take(Math.min(Number(length), most));
    const chunks: Buffer[] = [];
    for (let size = -1; size !== 0; ) {
      size = Number.parseInt((await this.#until("\r\n")).toString("latin1"), 16);
      chunks.push((await this.#take(size + 2)).subarray(0, size));
    }
    return Buffer.concat(chunks);
  }

  async #until(mark: string): Promise<Buffer> {
    while (!this.#held.includes(mark)) await this.#more();
    return this.#take(this.#held.indexOf(mark) + mark.length);
  }

  async #take(length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    // piece by piece: joining what is held with each packet would cost the square of a large body
    for (let missing = length; missing > 0; ) {
      if (this.#held.length === 0) await this.#more();
      const part = this.#held.subarray(0, missing);
      this.#held = this.#held.subarray(part.length);
      missing -= part.length;
      parts.push(part);
    }
    return Buffer.concat(parts);
  }

  #more(): Promise<void> {
    if (this.#ended) throw new Error(`the connection ended with ${this.#held.length} bytes unread`);
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

const headersOf = (lines: readonly string[]): ReadonlyMap<string, string> => {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name = "", value = ""] = /^([^:\s]+):\s*(.*?)\s*$/.exec(line) ?? [];
    if (name === "") throw new Error(`no header: ${line}`);
    const known = headers.get(name.toLowerCase());
    headers.set(name.toLowerCase(), known === undefined ? value : `${known}, ${value}`);
  }
  return headers;
};
