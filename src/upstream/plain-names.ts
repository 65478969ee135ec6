// Addresses of names by plain resolvers, asked by sockets of our own.
import { Resolver } from "node:dns/promises";
import { plainHost } from "../lib/host-name.ts";
import { ZoneTable } from "../lib/zone-table.ts";

export interface NameAddress {
  readonly address: string;
  /** Seconds. */
  readonly ttl: number;
}

export interface Names {
  /** Rejects when there is none, or when nobody can tell. */
  find(host: string, family: 4 | 6): Promise<readonly NameAddress[]>;
  close(): void;
}

const ASK_MS = 1_000;
const TRIES = 2;

type Splits = readonly { readonly zone: string; readonly resolvers: readonly string[] }[];

/** `servers` are `ip`, `ip:port` or `[ipv6]:port`; in their place those of a split for names at and under its zone. */
export const plainNames = (servers: readonly string[], splits: Splits = []): Names => {
  const rest = resolverAt(servers);
  const zones = new ZoneTable(splits.map(({ zone, resolvers }) => [zone, resolverAt(resolvers)] as const));
  return {
    find: (host, family) => {
      const resolver = zones.find(plainHost(host)) ?? rest;
      return family === 4 ? resolver.resolve4(host, { ttl: true }) : resolver.resolve6(host, { ttl: true });
    },
    close: () => undefined,
  };
};

const resolverAt = (servers: readonly string[]): Resolver => {
  const resolver = new Resolver({ timeout: ASK_MS, tries: TRIES });
  resolver.setServers(servers);
  return resolver;
};
