// The TCP half (RFC 7766): dns2's server with a reading side of its own, which looks at a message before dns2's parser would, and
// with limits: on connections, on queries under way, on time without a whole query, on replies that the client does not read.
import type { Socket } from "node:net";
import { Headcount } from "../lib/headcount.ts";
import type { Answer } from "./answer.ts";
import { converse, type Pipeline } from "./conversation.ts";
import { TCPServer } from "./dns2.ts";
import { clientAddress, type DoorOptions } from "./udp.ts";

export interface TcpLimits {
  /** Milliseconds without a whole query or a reply, however many octets drip in. Longer than the relay takes. */
  readonly idleMs: number;
  readonly connections: number;
  readonly connectionsPerClient: number;
  /** Queries under way on one connection; further ones wait unread. */
  readonly inFlight: number;
}

const DEFAULT_LIMITS: TcpLimits = { idleMs: 10_000, connections: 256, connectionsPerClient: 64, inFlight: 64 };

export class DnsTcpServer extends TCPServer {
  declare readonly response: (socket: Socket, pipeline: Pipeline, reply: Buffer) => void;
  readonly #answer: Answer;
  readonly #clients: (address: string) => boolean;
  readonly #limits: TcpLimits;
  readonly #open = new Set<Socket>();
  readonly #there: Headcount;

  constructor({ answer, clients }: Pick<DoorOptions, "answer" | "clients">, limits: Partial<TcpLimits> = {}) {
    super();
    this.#answer = answer;
    this.#clients = clients;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#there = new Headcount({ all: this.#limits.connections, each: this.#limits.connectionsPerClient });
  }

  /** dns2 binds this to each connection. */
  handle(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    const client = clientAddress(socket.remoteAddress ?? "");
    const leave = this.#clients(client) ? this.#there.enter(client) : undefined;
    if (leave === undefined) {
      socket.destroy();
      return;
    }
    this.#open.add(socket);
    socket.once("close", () => {
      this.#open.delete(socket);
      leave();
    });
    converse(socket, { answer: (message) => this.#answer(message, client), respond: this.response.bind(this), ...this.#limits });
  }

  /** Stops listening and breaks every connection. */
  closeAll(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.close(() => resolve()));
    for (const socket of this.#open) socket.destroy();
    return closed;
  }
}
