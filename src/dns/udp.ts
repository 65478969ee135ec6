// The UDP half: dns2's server with its parser kept from raw packets and its promises, which could kill the process, left aside.
import type { RemoteInfo, SocketOptions } from "node:dgram";
import type { EventEmitter } from "node:events";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { plainAddress } from "../lib/prefixes.ts";
import { Seldom } from "../lib/seldom.ts";
import { type Allowance, allowances } from "./allowance.ts";
import type { Answer, Answered } from "./answer.ts";
import { UDPServer } from "./dns2.ts";
import { literalLookup } from "./literal-lookup.ts";
import { perClient } from "./per-client.ts";
import { prescreen } from "./prescreen.ts";
import { cutReply, fitUdp } from "./reply.ts";

export interface DoorOptions {
  readonly answer: Answer;
  /** Who is answered, by address: always the same for the same one. */
  readonly clients: (address: string) => boolean;
  readonly log: Logger;
}

export interface UdpOptions extends Pick<DoorOptions, "answer" | "log"> {
  readonly socket: Pick<SocketOptions, "type" | "ipv6Only" | "reuseAddr">;
  readonly senders: Senders;
}

/** Plain, but with the zone of a link-local one: without it there is no way back. */
export const clientAddress = (address: string): string => (address.includes("%") ? address : plainAddress(address));

interface Sender {
  readonly client: string;
  readonly isClient: boolean;
  readonly allowance: Allowance | undefined;
}

/** What is known of who sends from an address. One for all sockets: what a network may get does not grow with them. */
export type Senders = (address: string) => Sender;

/** `now`: monotonic milliseconds. */
export const sendersOf = (clients: DoorOptions["clients"], now?: Clock): Senders => {
  const allowanceOf = allowances(now);
  return perClient((address) => {
    const client = clientAddress(address);
    return { client, isClient: clients(client), allowance: allowanceOf(client) };
  });
};

export class DnsUdpServer extends UDPServer {
  readonly #answer: Answer;
  readonly #senders: Senders;
  readonly #log: Logger;
  readonly #spent = new Seldom();

  constructor({ socket, senders, answer, log }: UdpOptions) {
    // dns2 hands `type` to dgram's Socket as it is, which takes options there as well.
    super({ type: { ...socket, lookup: literalLookup } as unknown as "udp4" });
    this.#answer = answer;
    this.#log = log;
    this.#senders = senders;
  }

  /** dns2 binds this to each message. Strangers and forged senders (no socket has port 0) hear nothing: no reflection. */
  override handle(message: Buffer, sender: RemoteInfo): void {
    const { client, isClient, allowance } = this.#senders(sender.address);
    if (sender.port === 0 || !isClient) return;
    if (allowance?.isSpent === true) {
      this.#refuse(message, client, sender);
      return;
    }
    const answered = this.#answer(message, client);
    if (answered instanceof Promise) answered.then((late) => this.#reply(late, sender, allowance)).catch(this.#unsent);
    else this.#reply(answered, sender, allowance);
  }

  /** Sent by ourselves: dns2's `response` makes a promise for each, whose failing ends the process when nobody looks. Never throws. */
  #reply(answered: Answered | undefined, sender: RemoteInfo, allowance: Allowance | undefined): void {
    if (answered === undefined) return;
    const { query, reply } = answered;
    const fitting = query ? fitUdp(query, reply) : reply;
    allowance?.spend(fitting.length);
    this.#send(fitting, sender);
  }

  /** Costs next to nothing, and gives back no more than came. */
  #refuse(message: Buffer, client: string, sender: RemoteInfo): void {
    const screened = prescreen(message);
    if (screened.verdict === "query") this.#send(cutReply(screened.query), sender);
    this.#spent.tell((times) =>
      this.#log.warn({ client, times }, "dns clients ask for more than their network's allowance: they get it over TCP"),
    );
  }

  #send(reply: Buffer, { address, port }: RemoteInfo): void {
    try {
      this.send(reply, port, address, this.#unsent);
    } catch (error) {
      this.#unsent(error); // Closed in the meantime.
    }
  }

  /** One for all: the error itself says where to. */
  readonly #unsent = (error: unknown): void => {
    if (error) this.#log.debug({ err: error }, "dns reply not sent");
  };
}

/** Errors after the start (no file descriptor for a connection, an interface gone) are logged: the others go on. */
export const listening = (server: EventEmitter, log: Logger, start: () => void): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      server.on("error", (error: Error) => log.error({ err: error }, "dns socket"));
      resolve();
    });
    start();
  });
