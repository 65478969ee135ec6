// A body into a response, as fast as the client takes it and with as little memory as it needs: one buffer a reader, used again
// and again, small for who is slow and large for who is quick. A body that breaks off, and a client that leaves, end both.
import type { ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import type { ByteStream } from "../lib/byte-stream.ts";
import { byteStreamOf } from "../lib/readable-source.ts";
import { ClientGone } from "./exchange.ts";

/** Each write costs TLS and the socket as much again, for as long as the client lets it wait. Bytes. */
const SMALL = 32 * 1024;
/** 0.40 s of CPU a GiB, against 0.76 with 64 KiB; 512 KiB would cost 0.34, and twice the memory. */
const LARGE = 256 * 1024;
/** A write that the client took within this was worth a large buffer: 256 KiB in 25 ms are 10 MiB/s. Milliseconds. */
const QUICK = 25;
/** Large buffers there are in all: a client that stops reading in the middle of one keeps it until it goes on. */
const LARGE_BUFFERS = 8;

/**
 * Ends the response when the body does; `undefined` where all of it is here already. Rejects with what broke the body off, or with ClientGone; the response is cut then,
 * as it is where the body is not of the `promised` length: a client would take the next answer for the rest of this one.
 */
export const pour = (body: Readable, res: ServerResponse, promised: number | undefined): Promise<void> | undefined => {
  const bytes = byteStreamOf(body);
  if (bytes.whole !== undefined && (promised === undefined || bytes.whole.length === promised)) {
    endWith(bytes.whole, res);
    return undefined;
  }
  // a reader that waits for the first byte should learn at once that there is an answer;
  // of nothing the head alone is the whole answer: it waits until that is seen to be right
  if (promised !== 0) res.flushHeaders();
  return pump(bytes, res, promised);
};

/**
 * Bytes that are all here go out at the end of this turn of the event loop, with those of all who have asked in it: waking a client for
 * each answer costs as much as making it, and one that has several connections is woken once.
 */
export const endWith = (bytes: Buffer, res: ServerResponse): void => {
  setImmediate(() => res.end(bytes));
};

const pump = async (body: ByteStream, res: ServerResponse, promised: number | undefined): Promise<void> => {
  let sent = 0;
  const client = new Client(res, () => void body.destroy());
  let buffer: Buffer = Buffer.allocUnsafeSlow(SMALL);
  try {
    for (let length = await body.readInto(buffer); length > 0; length = await body.readInto(buffer)) {
      sent += length;
      if (promised !== undefined && sent > promised) throw notAsPromised(sent, promised);
      const ms = await client.take(length === buffer.length ? buffer : buffer.subarray(0, length));
      buffer = fitting(buffer, length, ms);
    }
    if (client.gone) throw new ClientGone();
    if (promised !== undefined && sent < promised) throw notAsPromised(sent, promised);
    spare(buffer);
    res.end();
  } catch (error) {
    lose(buffer);
    res.destroy();
    throw client.gone ? new ClientGone() : error;
  } finally {
    client.forget();
    body.destroy();
  }
};

const notAsPromised = (sent: number, promised: number): Error =>
  new Error(`the body has ${sent < promised ? "only" : "already"} ${sent} bytes, and ${promised} were promised`);

/** The one who reads: takes a write at a time, and may be gone at any moment. */
class Client {
  readonly #res: ServerResponse;
  readonly #close: () => void;
  #refuse: ((reason: Error) => void) | undefined;

  constructor(res: ServerResponse, left: () => void) {
    this.#res = res;
    this.#close = () => {
      left();
      this.#refuse?.(new ClientGone());
    };
    res.once("close", this.#close);
    if (res.closed) this.#close();
  }

  get gone(): boolean {
    return this.#res.closed || this.#res.destroyed;
  }

  /** Resolves when the buffer is free again, with how long that took in ms. */
  take(bytes: Buffer): Promise<number> {
    const began = performance.now();
    return new Promise((resolve, reject) => {
      // a response that waits behind another on its connection is told nothing when that breaks
      this.#refuse = reject;
      this.#res.write(bytes, (error) => (error ? reject(error) : resolve(performance.now() - began)));
    });
  }

  forget(): void {
    this.#res.off("close", this.#close);
  }
}

/** Large buffers that nobody has just now. */
const idle: Buffer[] = [];
let made = 0;

/** What a reader reads into next that took `length` bytes of `buffer` in `ms`. Who follows a slow download has no use for a large one. */
const fitting = (buffer: Buffer, length: number, ms: number): Buffer => {
  const isLarge = buffer.length === LARGE;
  const isWorthMuch = ms < QUICK && (isLarge ? length > SMALL : length === SMALL);
  if (isLarge === isWorthMuch) return buffer;
  if (isLarge) {
    spare(buffer);
    return Buffer.allocUnsafeSlow(SMALL);
  }
  const ready = idle.pop();
  if (ready !== undefined || made >= LARGE_BUFFERS) return ready ?? buffer;
  made += 1;
  return Buffer.allocUnsafeSlow(LARGE);
};

const spare = (buffer: Buffer): void => {
  if (buffer.length === LARGE) idle.push(buffer);
};

/** A socket that has broken may still look at it: it goes, and another may be made in its place. */
const lose = (buffer: Buffer): void => {
  if (buffer.length === LARGE) made -= 1;
};
