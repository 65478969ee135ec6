// Layover's DNS door: UDP and TCP on every address of `listen.dns`. Both come up or neither does.
// Node does not tell which local address a UDP query came to: from a socket on 0.0.0.0 or :: the reply leaves from the address that
// routes to the client. Where clients ask at another one (a container on this machine at its LAN address), list each address.
import type { EventEmitter } from "node:events";
import type { AddressInfo } from "node:net";
import { isIPv6 } from "node:net";
import { type Address, formatAddress, parseAddress } from "../lib/listen.ts";
import type { Logger } from "../lib/log.ts";
import { type Answer, createAnswer, type Forwarder } from "./answer.ts";
import { DnsTcpServer, type TcpLimits } from "./tcp.ts";
import { DnsUdpServer, type DoorOptions } from "./udp.ts";
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
  /** Resolves when all sockets are closed. The relay is its owner's to close. */
  close(): Promise<void>;
}

/** Throws AddressError, and Node's own error with code, address, port and syscall (`bind` is UDP) when listening fails. */
export const serveDns = async (options: DnsOptions): Promise<DnsDoor> => {
  const places = options.listen.map((text) => parseAddress(text));
  const ipv6Only = places.some(({ host }) => !isIPv6(host));
  const answer = createAnswer(options);
  const open: Place[] = [];
  try {
    for (const place of places) open.push(await openPlace(place, { ...options, ipv6Only, answer }));
  } catch (error) {
    await closePlaces(open);
    throw error;
  }
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= closePlaces(open);
    return closing;
  };
  return { addresses: open.map(({ address }) => formatAddress(address)), close };
};

interface Place {
  readonly address: Address;
  readonly udp: DnsUdpServer;
  readonly tcp: DnsTcpServer;
}

interface Parts extends DnsOptions {
  readonly ipv6Only: boolean;
  readonly answer: Answer;
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
  const door: DoorOptions = { ...parts, family: isIPv6(host) ? 6 : 4 };
  const tcp = new DnsTcpServer(door, parts.tcp);
  const { ipv6Only, log } = parts;
  await listening(tcp, log, () => tcp.listen({ host, port: wanted, ipv6Only: ipv6Only && door.family === 6 }));
  const { port } = tcp.address() as AddressInfo;
  const udp = new DnsUdpServer(door);
  try {
    // dns2's listen() never settles on a failure; its events tell.
    await listening(udp, log, () => void udp.listen(port, host));
  } catch (error) {
    await tcp.closeAll();
    throw error;
  }
  return { address: { host, port }, udp, tcp };
};

/** Errors after the start (no file descriptor for a connection, an interface gone) are logged: the others go on. */
const listening = (server: EventEmitter, log: Logger, start: () => void): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      server.on("error", (error: Error) => log.error({ err: error }, "dns socket"));
      resolve();
    });
    start();
  });

const closePlaces = async (places: readonly Place[]): Promise<void> => {
  await Promise.all(places.flatMap(({ udp, tcp }) => [tcp.closeAll(), closeUdp(udp)]));
};

const closeUdp = (udp: DnsUdpServer): Promise<void> => new Promise((resolve) => void udp.close(() => resolve()));
