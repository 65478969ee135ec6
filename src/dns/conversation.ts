// One TCP connection: queries in, replies out in whatever order they come (RFC 7766 6.2.1.1). It ends when the client has ended and
// has its replies, at the first message that no query could be, or when nothing whole has come or gone for a while.
import type { Socket } from "node:net";
import type { Answered } from "./answer.ts";
import { Frames } from "./frames.ts";
import { MAX_QUERY } from "./prescreen.ts";

/** dns2's bookkeeping for half-closed connections: after the last reply to a peer that has ended, it ends too. */
export interface Pipeline {
  inFlight: number;
  peerEnded: boolean;
}

export interface ConversationOptions {
  readonly answer: (message: Buffer) => Promise<Answered | undefined> | Answered | undefined;
  /** Writes a framed reply and keeps the pipeline's account. */
  readonly respond: (socket: Socket, pipeline: Pipeline, reply: Buffer) => void;
  readonly idleMs: number;
  readonly inFlight: number;
}

/** Octets of replies not yet taken by the client, beyond which no more queries are read. */
const MAX_UNSENT = 65_536;

export const converse = (socket: Socket, options: ConversationOptions): void => new Conversation(socket, options).start();

class Conversation {
  readonly #socket: Socket;
  readonly #options: ConversationOptions;
  readonly #frames = new Frames(MAX_QUERY);
  readonly #pipeline: Pipeline = { inFlight: 0, peerEnded: false };
  /** Unlike the socket's own time-out, it is not put off by octets that drip in or out. */
  readonly #idle: NodeJS.Timeout;
  #ended = false;

  constructor(socket: Socket, options: ConversationOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#idle = setTimeout(() => socket.destroy(), options.idleMs).unref();
  }

  start(): void {
    this.#socket.on("data", (chunk) => {
      this.#frames.add(chunk);
      this.#read();
    });
    this.#socket.on("drain", () => this.#read());
    this.#socket.on("end", () => {
      this.#ended = true;
      this.#read();
    });
    this.#socket.once("close", () => clearTimeout(this.#idle));
  }

  #read(): void {
    while (!this.#socket.destroyed) {
      if (this.#isBusy()) {
        this.#socket.pause();
        return;
      }
      const message = this.#frames.next();
      if (message === undefined) break;
      this.#take(message);
    }
    if (!this.#socket.destroyed) this.#rest();
  }

  #isBusy(): boolean {
    return this.#pipeline.inFlight >= this.#options.inFlight || this.#socket.writableLength > MAX_UNSENT;
  }

  #take(message: Buffer | "malformed"): void {
    if (message === "malformed") {
      this.#socket.destroy();
      return;
    }
    this.#idle.refresh();
    this.#pipeline.inFlight += 1;
    this.#reply(message).catch(() => this.#socket.destroy());
  }

  async #reply(message: Buffer): Promise<void> {
    const answered = await this.#options.answer(message);
    if (answered === undefined) {
      this.#socket.destroy();
      return;
    }
    if (!this.#socket.destroyed) this.#idle.refresh();
    this.#options.respond(this.#socket, this.#pipeline, answered.reply);
    this.#read();
  }

  /** No whole query is left: on to what comes, or to the end. */
  #rest(): void {
    if (!this.#ended) {
      this.#socket.resume();
    } else if (this.#frames.isTorn) {
      this.#socket.destroy();
    } else {
      this.#pipeline.peerEnded = true;
      if (this.#pipeline.inFlight === 0) this.#socket.end();
    }
  }
}
