// The body of a request that is read here: a client that waits for `100 Continue` is told to send when the first byte is wanted, so that
// a refusal costs it none. Who stops reading leaves the connection as it is: the request can still be answered.
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { ByteStream } from "../lib/byte-stream.ts";
import { letSend } from "./continue.ts";
import { ClientGone } from "./exchange.ts";

export const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;

/** It ends cleanly only when all of it has come. */
export const requestBody = (req: IncomingMessage, res: ServerResponse): Readable =>
  hasBody(req) ? new RequestBody(req, res) : ByteStream.of(Buffer.alloc(0));

class RequestBody extends Readable {
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  #isBegun = false;
  readonly #take = (chunk: Buffer): void => {
    if (!this.push(chunk)) this.#req.pause();
  };

  constructor(req: IncomingMessage, res: ServerResponse) {
    super();
    this.#req = req;
    this.#res = res;
    // it may break off before anybody reads it: its reader finds the error then, and no process ends of it
    this.on("error", () => undefined);
    req.on("error", () => undefined);
  }

  override _read(): void {
    if (!this.#isBegun) this.#begin();
    this.#req.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#req.off("data", this.#take);
    done(error);
  }

  #begin(): void {
    this.#isBegun = true;
    const gone = () => {
      if (!this.#req.complete) this.destroy(new ClientGone());
    };
    if (this.#req.destroyed) gone();
    letSend(this.#res);
    this.#req.on("data", this.#take);
    this.#req.once("end", () => void this.push(null));
    this.#req.once("close", gone);
  }
}
