// The UDP half: dns2's server with its parser kept from raw packets and its promises kept from killing the process.
import type { RemoteInfo } from "node:dgram";
import { UDPServer } from "dns2";
import type { Logger } from "../lib/log.ts";
import { plainAddress } from "../lib/prefixes.ts";
import type { Answer } from "./answer.ts";
import { fitUdp } from "./reply.ts";

export interface DoorOptions {
  readonly family: 4 | 6;
  /** Whether a socket on `::` leaves IPv4 to another. */
  readonly ipv6Only: boolean;
  readonly answer: Answer;
  /** Who is answered, by address. */
  readonly clients: (address: string) => boolean;
  readonly log: Logger;
}

/** Plain, but with the zone of a link-local one: without it there is no way back. */
export const clientAddress = (address: string): string => (address.includes("%") ? address : plainAddress(address));

/** dns2 sizes a raw reply by this; ours has its size already. */
const ANY_SIZE = 65_535;

export class DnsUdpServer extends UDPServer {
  readonly #answer: Answer;
  readonly #clients: (address: string) => boolean;
  readonly #log: Logger;

  constructor({ family, ipv6Only, answer, clients, log }: DoorOptions) {
    // dns2 hands `type` to dgram's Socket as it is, which takes options there as well.
    const type = family === 6 ? { type: "udp6", ipv6Only } : { type: "udp4" };
    super({ type: type as unknown as "udp4" });
    this.#answer = answer;
    this.#clients = clients;
    this.#log = log;
  }

  /** dns2 binds this to each message. Strangers and forged senders (no socket has port 0) hear nothing: no reflection. */
  override handle(message: Buffer, sender: RemoteInfo): void {
    const client = clientAddress(sender.address);
    if (sender.port === 0 || !this.#clients(client)) return;
    this.#respond(message, sender, client).catch((error: unknown) => {
      this.#log.debug({ client, err: error }, "dns reply not sent");
    });
  }

  async #respond(message: Buffer, sender: RemoteInfo, client: string): Promise<void> {
    const answered = await this.#answer(message, client);
    if (answered === undefined) return;
    const { query, reply } = answered;
    const context = { ...sender, rinfo: sender, maxPayload: ANY_SIZE };
    await this.response(context, query ? fitUdp(query, reply) : reply);
  }
}
