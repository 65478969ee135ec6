// Whom Layover asks for names: resolvers for all, and for some zones resolvers of their own.
import { networkInterfaces } from "node:os";
import { type Address, formatAddress, isWildcard } from "../lib/listen.ts";
import { isNamed, parseResolver } from "../lib/resolver-address.ts";
import type { Config, Split } from "./config.ts";
import type { KeyPath, Problem } from "./problems.ts";
import type { Settings } from "./schema.ts";
import { parseHost } from "./values.ts";

type Entries = NonNullable<Settings["resolvers"]>;

const PUBLIC = ["8.8.8.8:53", "8.8.4.4:53"];

export const resolversOf = (given: Settings, report: (problem: Problem) => void): Pick<Config, "resolvers" | "splits"> => {
  const entries = given.resolvers ?? PUBLIC;
  const resolvers = entries.filter((entry) => typeof entry === "string");
  if (resolvers.length === 0) {
    const found = entries.length === 0 ? "none" : "only such for zones";
    report({ path: ["resolvers"], text: `expected at least one resolver, found ${found}` });
  }
  return { resolvers, splits: splitsOf(entries, report) };
};

const splitsOf = (entries: Entries, report: (problem: Problem) => void): Split[] => {
  const splits = new Map<string, Split>();
  for (const [i, entry] of entries.entries()) {
    if (typeof entry === "string") continue;
    for (const [key, resolvers] of Object.entries(entry)) {
      const fail = (text: string) => report({ path: ["resolvers", i, key], text });
      const zone = zoneOf(key, fail);
      if (zone === undefined) continue;
      if (resolvers.length === 0) fail("expected at least one resolver, found none");
      if (splits.has(zone)) fail(`the zone ${zone} has its resolvers already: name them in one list`);
      splits.set(zone, { zone, resolvers });
    }
  }
  return [...splits.values()];
};

/** Somebody has to say where a resolver is that has a name, and that cannot be itself. */
export const homeless = (entries: Entries): Problem[] => {
  if (entries.some((entry) => typeof entry === "string" && isPlain(entry))) return [];
  const groups = entries.flatMap((entry, i): { group: readonly string[]; path: KeyPath }[] =>
    typeof entry === "string"
      ? [{ group: [entry], path: ["resolvers", i] }]
      : Object.entries(entry).map(([zone, group]) => ({ group, path: ["resolvers", i, zone] })),
  );
  const alone = groups.filter(({ group }) => !group.some(isPlain));
  return alone.flatMap(({ group, path }) =>
    group
      .filter((text) => isNamed(parseResolver(text)))
      .map((text) => ({ path, text: `${text}: nobody says where it is; add a plain resolver, or give its address in the URL` })),
  );
};

const isPlain = (resolver: string): boolean => parseResolver(resolver).kind === "plain";

const zoneOf = (key: string, fail: (text: string) => void): string | undefined => {
  try {
    return parseHost(key);
  } catch (error) {
    fail((error as Error).message);
    return undefined;
  }
};

/** A resolver that is Layover itself would be asked in a circle. */
export const ownResolvers = (entries: Entries, dns: readonly Address[]): Problem[] =>
  entries.flatMap((entry, i): Problem[] => {
    if (typeof entry === "string") return own(entry, ["resolvers", i], dns);
    return Object.entries(entry).flatMap(([zone, list]) =>
      list.flatMap((resolver) => own(resolver, ["resolvers", i, zone], dns)),
    );
  });

const own = (resolver: string, path: KeyPath, dns: readonly Address[]): Problem[] => {
  const address = parseResolver(resolver);
  const door = dns.find(({ host, port }) => port === address.port && isSelf(host, address.host));
  return door === undefined ? [] : [{ path, text: `${resolver} is Layover itself (listen.dns ${formatAddress(door)})` }];
};

const isSelf = (door: string, host: string): boolean => {
  if (!isWildcard(door)) return door === host;
  const addresses = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((entry) => entry.address));
  return isWildcard(host) || host.startsWith("127.") || addresses.includes(host);
};
