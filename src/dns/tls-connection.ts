// DNS over TLS (RFC 7858): questions one behind the other, answers in whatever order they come, told apart by ids of this connection.
import { isIP, type LookupFunction } from "node:net";
import { performance } from "node:perf_hooks";
import { connect, type SecureContext, type TLSSocket } from "node:tls";
import type { Address } from "../lib/listen.ts";
import { judge, NoAnswer, type Patience, type Question, settle } from "./exchange.ts";
import { Frames, frame } from "./frames.ts";
import type { Connection } from "./kept-resolver.ts";

export interface Secured {
  readonly secureContext: SecureContext;
  /** For names: the system's resolver may be ourselves. */
  readonly lookup: LookupFunction;
}

const IDLE_MS = 30_000;
const MAX_MESSAGE = 65_535;

interface Waiting {
  readonly take: (reply: Buffer) => void;
  readonly reject: (error: NoAnswer) => void;
}

export const connectTls = (to: Address, secured: Secured): Connection => new TlsConnection(to, secured);

class TlsConnection implements Connection {
  readonly #socket: TLSSocket;
  readonly #frames = new Frames(MAX_MESSAGE);
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  heardAt: number | undefined;

  constructor({ host, port }: Address, { secureContext, lookup }: Secured) {
    const servername = isIP(host) === 0 ? { servername: host } : {};
    const socket = connect({ host, port, lookup, secureContext, rejectUnauthorized: true, ...servername });
    socket.setNoDelay(true);
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    let failure: Error | undefined;
    socket.on("error", (error) => {
      failure = error;
    });
    socket.on("close", () => this.#end(failure));
    socket.on("data", (chunk) => this.#read(chunk));
    // Nothing more comes after its end.
    socket.on("end", () => socket.destroy());
    this.#socket = socket;
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }

  ask(question: Question, patience: Patience): Promise<Buffer> {
    return settle(patience, (resolve, reject) => {
      const id = this.#freeId();
      const take = (reply: Buffer) => judge(underId(reply, question.message.readUInt16BE(0)), question, resolve, reject);
      this.#waiting.set(id, { take, reject });
      if (this.isOpen) this.#socket.write(frame(underId(question.message, id)));
      else reject(new NoAnswer(false));
      return () => this.#waiting.delete(id);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  /** In turn, so that what comes too late for one question is not taken for the next one's answer. */
  #freeId(): number {
    do this.#lastId = (this.#lastId + 1) & 0xffff;
    while (this.#waiting.has(this.#lastId));
    return this.#lastId;
  }

  #read(chunk: Buffer): void {
    this.heardAt = performance.now();
    this.#frames.add(chunk);
    for (let message = this.#frames.next(); message !== undefined; message = this.#frames.next()) {
      if (message === "malformed") {
        this.#socket.destroy();
        return;
      }
      this.#waiting.get(message.readUInt16BE(0))?.take(message);
    }
  }

  #end(cause: Error | undefined): void {
    for (const { reject } of this.#waiting.values()) reject(new NoAnswer(false, cause));
  }
}

const underId = (message: Buffer, id: number): Buffer => {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
};
