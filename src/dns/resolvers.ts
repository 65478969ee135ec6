// All whom others' names are asked of, put together: each group of resolvers by itself, with its own order, health and bounds.
import type { Logger } from "../lib/log.ts";
import { parsePrefixes } from "../lib/prefixes.ts";
import { isNamed, parseResolver, type ResolverAddress } from "../lib/resolver-address.ts";
import { ZoneTable } from "../lib/zone-table.ts";
import type { Forwarder } from "./answer.ts";
import { cached } from "./cache.ts";
import { LOCAL_ZONES } from "./local-names.ts";
import { withoutEdnsIfNeedBe } from "./old-resolver.ts";
import { createRelay } from "./relay.ts";
import { plainResolver, type Resolver } from "./resolver.ts";

export interface ResolverGroups {
  readonly resolvers: readonly string[];
  /** In their place for names at and under `zone`. */
  readonly splits: readonly { readonly zone: string; readonly resolvers: readonly string[] }[];
  /** Roots besides the system's for encrypted ones, as PEM. */
  readonly trust?: string | undefined;
}

export interface Resolvers extends Forwarder {
  /** Whether a name that means something only in the network itself is asked of somebody in it. */
  isAsked(name: string): boolean;
  close(): void;
}

export const openResolvers = async (groups: ResolverGroups, log: Logger): Promise<Resolvers> => {
  const relays = new Relays(log, groups.trust);
  const all = groups.resolvers.map(parseResolver);
  const rest = await relays.open(all, all);
  const inside = all.filter(({ host }) => isPrivate(host));
  const zones = new Map<string, Forwarder>();
  if (inside.length > 0) {
    const insiders = inside.length === all.length ? rest : await relays.open(inside, all);
    for (const zone of LOCAL_ZONES) zones.set(zone, insiders);
  }
  for (const { zone, resolvers } of groups.splits) zones.set(zone, await relays.open(resolvers.map(parseResolver), all));
  const table = new ZoneTable(zones);
  return {
    forward: (query, client) => (table.find(query.qname) ?? rest).forward(query, client),
    isAsked: (name) => inside.length === all.length || table.find(name) !== undefined,
    close: () => relays.close(),
  };
};

const isPrivate = parsePrefixes(["private"]);

class Relays {
  readonly #log: Logger;
  readonly #trust: string | undefined;
  readonly #closing: (() => void)[] = [];

  constructor(log: Logger, trust: string | undefined) {
    this.#log = log;
    this.#trust = trust;
  }

  /** Plain ones of the group itself, else of `others`, say where those are that have names. */
  async open(group: readonly ResolverAddress[], others: readonly ResolverAddress[]): Promise<Forwarder> {
    const plain = [group, others].map((some) => some.filter(({ kind }) => kind === "plain")).find((some) => some.length > 0);
    const bootstrap = group.some(isNamed) && plain ? cached(await this.open(plain, [])) : nobody;
    const resolvers = (await this.#resolvers(group, bootstrap)).map(withoutEdnsIfNeedBe);
    const relay = createRelay({ resolvers, log: this.#log });
    this.#closing.push(() => relay.close());
    return relay;
  }

  close(): void {
    for (const close of this.#closing) close();
  }

  async #resolvers(group: readonly ResolverAddress[], bootstrap: Forwarder): Promise<Resolver[]> {
    if (group.every((one) => one.kind === "plain")) return group.map(plainResolver);
    const { encryptedResolver } = await import("./encrypted.ts");
    return group.map((one) =>
      one.kind === "plain" ? plainResolver(one) : encryptedResolver(one, { trust: this.#trust, bootstrap }),
    );
  }
}

/** Resolvers given by their addresses need nobody. */
const nobody: Forwarder = { forward: () => Promise.reject(new Error("no plain resolver says where the others are")) };
