// One question to one resolver, once. Nothing but the answer to this very question is taken: a random id, a socket and source
// port of its own, connected so that other senders are not heard (RFC 5452 4, 9). What does not match is passed over, not believed.
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import type { Address } from "../lib/listen.ts";
import { frame } from "./frames.ts";
import { literalLookup } from "./literal-lookup.ts";
import type { Query } from "./prescreen.ts";
import { FLAG, flagsOf, HEADER, opcodeOf, rcodeOf } from "./wire.ts";

export interface Question {
  readonly query: Query;
  /** The query's octets under another id. */
  readonly message: Buffer;
}

export interface Patience {
  readonly ms: number;
  /** Closes the socket at once. */
  readonly signal: AbortSignal;
}

/** `late`: silence for the whole time, which a lost packet may explain; else the resolver cannot be reached or makes no sense. */
export class NoAnswer extends Error {
  readonly late: boolean;
  /** Of a refusal that was a bare header. */
  readonly rcode: number | undefined;
  constructor(late: boolean, cause?: unknown, rcode?: number) {
    super(late ? "no answer in time" : "no usable answer", { cause });
    this.name = "NoAnswer";
    this.late = late;
    this.rcode = rcode;
  }
}

/** The reply as it came, still under the message's id. Rejects with NoAnswer. */
export type Ask = (to: Address, question: Question, patience: Patience) => Promise<Buffer>;

export const askUdp: Ask = (to, question, patience) =>
  settle(patience, (resolve, reject) => {
    const socket = createSocket({ type: isIPv6(to.host) ? "udp6" : "udp4", lookup: literalLookup as never });
    socket.on("error", (error) => reject(new NoAnswer(false, error)));
    socket.on("message", (reply) => judge(reply, question, resolve, reject));
    // Connecting an unbound socket takes a random free port.
    socket.once("connect", () => socket.send(question.message, (error) => error && reject(new NoAnswer(false, error))));
    socket.connect(to.port, to.host);
    return () => {
      socket.removeAllListeners("connect"); // It may be closed before it is connected.
      socket.close();
    };
  });

/** RFC 7766; one question for each connection. */
export const askTcp: Ask = (to, question, patience) =>
  settle(patience, (resolve, reject) => {
    const socket = connect({ host: to.host, port: to.port, noDelay: true });
    const chunks: Buffer[] = [];
    socket.on("error", (error) => reject(new NoAnswer(false, error)));
    socket.on("close", () => reject(new NoAnswer(false)));
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      const reply = firstFrame(chunks);
      if (reply === undefined) return;
      judge(reply, question, resolve, reject);
      reject(new NoAnswer(false)); // A stream that begins with something else has nothing better to come.
    });
    socket.write(frame(question.message));
    return () => socket.destroy();
  });

/** At most 64 KiB and one chunk are ever held: a whole frame ends the reading. */
const firstFrame = (chunks: readonly Buffer[]): Buffer | undefined => {
  const held = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  if (held < 2) return undefined;
  const length = (chunks[0]!.length >= 2 ? chunks[0]! : Buffer.concat(chunks)).readUInt16BE(0);
  return held >= 2 + length ? Buffer.concat(chunks).subarray(2, 2 + length) : undefined;
};

type Resolve = (reply: Buffer) => void;
type Reject = (error: NoAnswer) => void;

/** Runs `start` until one of its two callbacks, the time or the signal; what `start` gave back is called in any case. */
export const settle = ({ ms, signal }: Patience, start: (resolve: Resolve, reject: Reject) => () => void): Promise<Buffer> => {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const timer = setTimeout(() => reject(new NoAnswer(true)), ms);
  const leave = () => reject(new NoAnswer(false, signal.reason));
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  const stop = attempt(start, resolve, reject);
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", leave);
    stop();
  });
};

/** Out of file descriptors is thrown at once. */
const attempt = (start: (resolve: Resolve, reject: Reject) => () => void, resolve: Resolve, reject: Reject): (() => void) => {
  try {
    return start(resolve, reject);
  } catch (error) {
    reject(new NoAnswer(false, error));
    return () => undefined;
  }
};

/** Gives `resolve` what answers the question, and `reject` a refusal without one; passes over all else. */
export const judge = (reply: Buffer, question: Question, resolve: Resolve, reject: Reject): void => {
  if (!hasIdOf(reply, question.message)) return;
  if (isAnswerTo(reply, question.query)) resolve(reply);
  // Some old forwarders refuse EDNS with a bare header: nothing to give on, and nothing to wait for.
  else if (reply.readUInt16BE(4) === 0 && rcodeOf(reply) !== 0) reject(new NoAnswer(false, undefined, rcodeOf(reply)));
};

const hasIdOf = (reply: Buffer, message: Buffer): boolean =>
  reply.length >= HEADER &&
  reply.readUInt16BE(0) === message.readUInt16BE(0) &&
  (flagsOf(reply) & FLAG.QR) !== 0 &&
  opcodeOf(reply) === 0;

/** Exactly one question, equal but for the case of its name (RFC 5452 9.1). */
export const isAnswerTo = (reply: Buffer, { message, questionEnd }: Query): boolean => {
  if (reply.readUInt16BE(4) !== 1 || reply.length < questionEnd) return false;
  const nameEnd = questionEnd - 4;
  for (let at = HEADER; at < questionEnd; at += 1) {
    const [ours, theirs] = [message[at]!, reply[at]!];
    if (ours !== theirs && (at >= nameEnd || lower(ours) !== lower(theirs))) return false;
  }
  return true;
};

/** Length octets are below "A", so folding cannot make two of them equal. */
const lower = (octet: number): number => (octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet);
