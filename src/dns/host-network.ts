// What this machine knows of its own network, asked of the system. Linux's /proc is read for gateways; elsewhere none are known.
import { createSocket } from "node:dgram";
import { existsSync, readFileSync } from "node:fs";
import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { hexAddress } from "../lib/listen-holder.ts";

export interface InterfaceAddress {
  /** Of the interface: `eth0`. */
  readonly name: string;
  readonly address: string;
  /** Undefined when the netmask is odd. */
  readonly cidr: string | undefined;
}

export interface HostNetwork {
  addresses(): readonly InterfaceAddress[];
  /** The local address that packets to `client` leave from; undefined: there is no way to it. */
  route(client: string): Promise<string | undefined>;
  /** The next hops of all routes. */
  gateways(): readonly string[];
  inContainer(): boolean;
}

export const hostNetwork: HostNetwork = {
  addresses: () =>
    Object.entries(networkInterfaces()).flatMap(([name, list]) =>
      (list ?? []).map(({ address, cidr }) => ({ name, address, cidr: cidr ?? undefined })),
    ),
  route: (client) => routeTo(client),
  gateways: () => [...parseGateways4(read("/proc/net/route")), ...parseGateways6(read("/proc/net/ipv6_route"))],
  inContainer: () => existsSync("/.dockerenv") || existsSync("/run/.containerenv"),
};

/** Connecting a UDP socket looks the route up and sends nothing. */
const routeTo = (client: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    const socket = createSocket(isIPv6(client) ? "udp6" : "udp4");
    const done = (address: string | undefined) => {
      socket.close();
      resolve(address);
    };
    socket.once("error", () => done(undefined));
    socket.once("connect", () => done(socket.address().address));
    socket.connect(53, client);
  });

const read = (file: string): string => {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
};

const rows = (table: string): string[][] => table.split("\n").map((line) => line.trim().split(/\s+/));

/** Fields: interface, destination, gateway, …; each address as eight hexadecimal digits in host order. */
export const parseGateways4 = (table: string): string[] =>
  rows(table)
    .map((fields) => fields[2] ?? "")
    .filter((gateway) => /^[0-9a-f]{8}$/i.test(gateway) && !/^0+$/.test(gateway))
    .map(hexAddress);

/** Fields: destination, length, source, length, next hop, …; each address as 32 hexadecimal digits in network order. */
export const parseGateways6 = (table: string): string[] =>
  rows(table)
    .map((fields) => fields[4] ?? "")
    .filter((gateway) => /^[0-9a-f]{32}$/i.test(gateway) && !/^0+$/.test(gateway))
    .map((gateway) => canonical6(gateway.match(/.{4}/g)!.join(":")));

/** The spelling of RFC 5952, as everything else here is spelt. */
export const canonical6 = (address: string): string => new URL(`http://[${address}]/`).hostname.slice(1, -1);
