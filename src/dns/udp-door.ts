// UDP on one address of `listen.dns`. On a wildcard each address of this machine has a socket of its own, for Node does not tell at which one
// a query came: from a socket on 0.0.0.0 the reply leaves from the address that routes to the client, and a client that asked at another one
// throws it away. Addresses come and go; a socket on the wildcard itself stays for what is not seen (127.0.0.2, routes to here).
import { isIPv4, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { type Address, isWildcard } from "../lib/listen.ts";
import { Seldom } from "../lib/seldom.ts";
import { DnsUdpServer, listening, type UdpOptions } from "./udp.ts";

const LOOK_EVERY = 1_000;
/** Beyond these, such as a cluster's thousands of service addresses, the wildcard's socket answers as best it can. */
const MAX_SOCKETS = 256;

export interface UdpDoorOptions extends Omit<UdpOptions, "socket"> {
  /** Whether `::` leaves IPv4 to another. */
  readonly ipv6Only: boolean;
}

export interface UdpDoor {
  close(): Promise<void>;
}

/** Throws Node's own error. */
export const openUdpDoor = async (place: Address, options: UdpDoorOptions): Promise<UdpDoor> => {
  if (!isWildcard(place.host)) {
    const server = await openOn(place, options, false);
    return { close: () => closeUdp(server) };
  }
  // sockets that share a port cannot tell that somebody else has it
  await closeUdp(await openOn(place, options, false));
  const rest = await openOn(place, options, true);
  const each = new EachAddress(place, options);
  await each.look();
  return {
    close: async () => {
      await each.close();
      await closeUdp(rest);
    },
  };
};

class EachAddress {
  readonly #place: Address;
  readonly #options: UdpDoorOptions;
  readonly #open = new Map<string, DnsUdpServer>();
  /** Where it has failed, with the error's code: told once. */
  readonly #failed = new Map<string, string>();
  readonly #unseen = new Seldom();
  readonly #timer: NodeJS.Timeout;
  #looking: Promise<void> | undefined;

  constructor(place: Address, options: UdpDoorOptions) {
    this.#place = place;
    this.#options = options;
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY).unref();
  }

  /** Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#follow()
      .catch(this.#blind)
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  /** Where nothing can be opened any more, not even the interfaces are seen. */
  readonly #blind = (error: unknown): void => {
    this.#unseen.tell((times) =>
      this.#options.log.error({ err: String(error), times }, "this machine's addresses cannot be seen"),
    );
  };

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
    await Promise.all([...this.#open.values()].map(closeUdp));
  }

  async #follow(): Promise<void> {
    const here = new Set(localAddresses(this.#place.host, this.#options.ipv6Only).slice(0, MAX_SOCKETS));
    for (const [address, server] of this.#open) {
      if (here.has(address)) continue;
      this.#open.delete(address);
      await closeUdp(server);
    }
    for (const address of here) if (!this.#open.has(address)) await this.#add(address);
  }

  async #add(host: string): Promise<void> {
    try {
      this.#open.set(host, await openOn({ host, port: this.#place.port }, this.#options, true));
      this.#failed.delete(host);
    } catch (error) {
      const { code = "" } = error as NodeJS.ErrnoException;
      // an IPv6 address is looked at for a second or two before it may be used (RFC 4862 5.4)
      if (code !== "EADDRNOTAVAIL" && this.#failed.get(host) !== code)
        this.#options.log.warn({ address: host, err: String(error) }, "dns replies may leave from another address than this");
      this.#failed.set(host, code);
    }
  }
}

/** Link-local ones are asked at by their own link alone, and replies to that leave from them anyway. */
const localAddresses = (wildcard: string, ipv6Only: boolean): string[] => {
  const isWanted = isIPv4(wildcard) ? isIPv4 : ipv6Only ? isIPv6 : () => true;
  const all = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
  return [...new Set(all)].filter((address) => isWanted(address) && !/^fe[89ab]/i.test(address));
};

const openOn = async ({ host, port }: Address, options: UdpDoorOptions, isShared: boolean): Promise<DnsUdpServer> => {
  const isSix = isIPv6(host);
  const server = new DnsUdpServer({
    ...options,
    socket: { type: isSix ? "udp6" : "udp4", ipv6Only: isSix && options.ipv6Only, reuseAddr: isShared },
  });
  try {
    // dns2's listen() never settles on a failure; its events tell.
    await listening(server, options.log, () => void server.listen(port, host));
  } catch (error) {
    await closeUdp(server).catch(() => undefined);
    throw error;
  }
  return server;
};

const closeUdp = (udp: DnsUdpServer): Promise<void> => new Promise((resolve) => void udp.close(() => resolve()));
