// Layover's DNS door: UDP and TCP on every address of `listen.dns`. On each of them both come up or neither does.
import type { AddressInfo } from "node:net";
import { isIPv6 } from "node:net";
import { type Address, formatAddress, parseAddress } from "../lib/listen.ts";
import { listenEach } from "../lib/listen-each.ts";
import type { Logger } from "../lib/log.ts";
import { type Answer, createAnswer, type Forwarder } from "./answer.ts";
import { DnsTcpServer, type TcpLimits } from "./tcp.ts";
import { listening, type Senders, sendersOf } from "./udp.ts";
import { openUdpDoor, type UdpDoor } from "./udp-door.ts";
import type { Zone } from "./zone.ts";

export interface DnsOptions {
  /** `ip:port` or `[ipv6]:port`; port 0 is one free port for both transports. */
  readonly listen: readonly string[];
  readonly zone: Zone;
  readonly relay: Forwarder;
  /** Who may ask, by address; the others are dropped over UDP, and their connections closed. */
  readonly clients: (address: string) => boolean;
  readonly log: Logger;
  readonly tcp?: Partial<TcpLimits>;
}

export interface DnsDoor {
  /** As `listen`, with the ports that were given. */
  readonly addresses: readonly string[];
  /** Who may ask has changed. */
  forget(): void;
  /** Resolves when all sockets are closed. The relay is its owner's to close. */
  close(): Promise<void>;
}

/**
 * Throws AddressError, and Node's own error with code, address, port and syscall (`bind` is UDP) when listening fails. What is no address of
 * this machine yet is listened on later, where there is one that is.
 */
export const serveDns = async (options: DnsOptions): Promise<DnsDoor> => {
  const places = options.listen.map((text) => parseAddress(text));
  let senders = sendersOf(options.clients);
  const parts = {
    ...options,
    ipv6Only: places.some(({ host }) => !isIPv6(host)),
    answer: createAnswer(options),
    senders: (address: string) => senders(address),
  };
  const { opened, stop } = await listenEach(places, {
    open: (place) => openPlace(place, parts),
    close: closePlace,
    key: "listen.dns",
    log: options.log,
  });
  let closing: Promise<void> | undefined;
  const closeAll = async () => {
    await stop();
    await Promise.all(opened.map(closePlace));
  };
  const close = () => {
    closing ??= closeAll();
    return closing;
  };
  return {
    addresses: opened.map(({ address }) => formatAddress(address)),
    forget: () => {
      senders = sendersOf(options.clients);
    },
    close,
  };
};

interface Place {
  readonly address: Address;
  readonly udp: UdpDoor;
  readonly tcp: DnsTcpServer;
}

interface Parts extends DnsOptions {
  readonly ipv6Only: boolean;
  readonly answer: Answer;
  readonly senders: Senders;
}

/** A port that is free for TCP may be taken for UDP. */
const PORT_TRIES = 20;

const openPlace = async (wanted: Address, parts: Parts): Promise<Place> => {
  for (let left = PORT_TRIES; ; left -= 1) {
    try {
      return await openPair(wanted, parts);
    } catch (error) {
      if (wanted.port !== 0 || left <= 0 || (error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    }
  }
};

const openPair = async ({ host, port: wanted }: Address, parts: Parts): Promise<Place> => {
  const { ipv6Only, log } = parts;
  const tcp = new DnsTcpServer(parts, parts.tcp);
  await listening(tcp, log, () => tcp.listen({ host, port: wanted, ipv6Only: ipv6Only && isIPv6(host) }));
  const { port } = tcp.address() as AddressInfo;
  try {
    return { address: { host, port }, udp: await openUdpDoor({ host, port }, parts), tcp };
  } catch (error) {
    await tcp.closeAll();
    throw error;
  }
};

const closePlace = async ({ udp, tcp }: Place): Promise<void> => {
  await Promise.all([tcp.closeAll(), udp.close()]);
};
