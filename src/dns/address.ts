// What hijacked names resolve to: `answer` of the configuration. It must be an address at which that very client reaches the HTTPS door.

import { isIP, isIPv6 } from "node:net";
import { LRUCache } from "lru-cache";
import { type Answers, answerFor } from "../lib/answers.ts";
import { type Address, isWildcard } from "../lib/listen.ts";
import { parsePrefixes, plainAddress } from "../lib/prefixes.ts";
import { canonical6, type HostNetwork, hostNetwork } from "./host-network.ts";
import { perClient } from "./per-client.ts";

export interface AnswerOptions extends Answers {
  /** Where the HTTPS door listens. */
  readonly https: readonly Address[];
  readonly network?: HostNetwork;
}

/**
 * The addresses to answer a client with. Empty: none can be found at the moment; undefined: the client is not to be
 * hijacked, because in a container nobody can tell at which address those from outside reach us.
 */
export type AddressesFor = (client: string) => Found | Promise<Found>;

type Found = readonly string[] | undefined;

interface Entry {
  /** A promise only until it is kept. */
  found: Found | Promise<Found>;
}

/** Routes change: with a lease, a VPN, a network joined later. */
const KEPT_MS = 10_000;
const KEPT_CLIENTS = 4_096;

export const answerAddresses = ({ https, network = hostNetwork, ...answers }: AnswerOptions): AddressesFor => {
  const chosen = answerFor(answers);
  const answerOf = perClient((client) => {
    const answer = chosen(client);
    return answer === "auto" ? answer : answer.map(canonical);
  });
  const found = autoAddresses(https, network);
  return (client) => {
    const answer = answerOf(client);
    return answer === "auto" ? found(client) : answer;
  };
};

const autoAddresses = (https: readonly Address[], network: HostNetwork): AddressesFor => {
  const known = new LRUCache<string, Entry>({ max: KEPT_CLIENTS, ttl: KEPT_MS });
  const inContainer = network.inContainer();
  const spelt = perClient(canonical);
  const find = async (client: string): Promise<Found> =>
    inContainer && !isOnLink(client, network) ? undefined : reachable(client, https, network);
  return (given) => {
    const client = spelt(given);
    const held = known.get(client);
    if (held) return held.found;
    const looking = find(client);
    const entry: Entry = { found: looking };
    known.set(client, entry);
    looking
      .then((addresses) => {
        entry.found = addresses;
        // What went wrong, or found no way, may be right for the next query.
        if (addresses?.length === 0) known.delete(client);
      })
      .catch(() => known.delete(client));
    return looking;
  };
};

/** Without the v4-mapped form that a dual-stack socket shows, and with a zone, if any: there is no route without it. */
export const canonical = (address: string): string => {
  if (address.includes("%")) return address;
  const plain = plainAddress(address);
  return isIPv6(plain) ? canonical6(plain) : plain;
};

/** The gateway stands for all that it translates addresses for: those may be anywhere. */
const isOnLink = (client: string, network: HostNetwork): boolean => {
  const bare = plainAddress(client);
  const links = parsePrefixes(network.addresses().flatMap(({ cidr }) => cidr ?? []));
  return links(bare) && !network.gateways().includes(bare);
};

const reachable = async (client: string, https: readonly Address[], network: HostNetwork): Promise<readonly string[]> => {
  const open = https.filter(({ host }) => !isWildcard(host)).map(({ host }) => canonical(host));
  if (https.length === 1 && open.length === 1) return open;
  const local = await network.route(client);
  if (local === undefined) return [];
  const found = sameInterface(canonical(local), network).filter((address) => isServed(address, https));
  // Nothing listens where the route begins: of the fixed addresses, all that the client may be able to reach.
  return found.length > 0 ? found.slice(0, 1) : open;
};

/** The address itself first, then its neighbours, which are of the other family or can stand in for a link-local one. */
const sameInterface = (local: string, network: HostNetwork): string[] => {
  const all = network.addresses().map(({ name, address }) => ({ name, address: canonical(address) }));
  const bare = plainAddress(local);
  const name = all.find(({ address }) => plainAddress(address) === bare)?.name;
  const neighbours = all.filter((entry) => entry.name === name).map(({ address }) => address);
  // A link-local address means nothing in an answer, which cannot carry a zone (RFC 4007 11.2).
  return [local, ...neighbours].filter((address) => !/^fe[89ab]/i.test(address));
};

/** `[::]` takes both families; `0.0.0.0` one. */
const isServed = (address: string, https: readonly Address[]): boolean =>
  https.some(({ host }) => canonical(host) === address || (isWildcard(host) && (isIP(host) === 6 || isIP(address) === 4)));
