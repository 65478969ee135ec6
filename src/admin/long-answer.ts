// The answer of long work: lines of JSON as it goes on, the last one its result or its error. Until the first line nothing is settled:
// what fails before it is answered with a status of its own.
import type { ServerResponse } from "node:http";
import type { Progress } from "./answers.ts";
import { NDJSON } from "./routes.ts";

/** Progress is told no more often, and the last one again when there is none for long: a client sees that we are there. Milliseconds. */
const TELL_EVERY = 100;
const BEAT = 5_000;
/** What a client that does not read may have waiting for it. Bytes. */
const MAX_WAITING = 64 * 1024;

export class LongAnswer {
  readonly #res: ServerResponse;
  readonly #beat: NodeJS.Timeout;
  #last: Progress | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(res: ServerResponse) {
    this.#res = res;
    this.#beat = setInterval(() => this.#tell(), BEAT);
  }

  progress(progress: Progress): void {
    this.#last = progress;
    if (performance.now() - this.#toldAt >= TELL_EVERY) this.#tell();
  }

  end(last: { readonly result: unknown } | { readonly error: unknown }): void {
    this.close();
    this.#line(last);
    this.#res.end();
  }

  /** Ends its telling, and nothing else. */
  close(): void {
    clearInterval(this.#beat);
  }

  #tell(): void {
    this.#toldAt = performance.now();
    if (this.#res.writableLength < MAX_WAITING) this.#line({ progress: this.#last ?? null });
  }

  #line(line: unknown): void {
    if (this.#res.destroyed) return;
    if (!this.#res.headersSent) this.#res.writeHead(200, { "content-type": NDJSON, "cache-control": "no-store" });
    this.#res.write(`${JSON.stringify(line)}\n`);
  }
}
