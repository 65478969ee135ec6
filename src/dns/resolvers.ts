// All whom others' names are asked of, put together: each group of resolvers by itself, with its own order, health and bounds.
import type { Logger } from "../lib/log.ts";
import { parsePrefixes } from "../lib/prefixes.ts";
import { ZoneTable } from "../lib/zone-table.ts";
import type { Forwarder } from "./answer.ts";
import { LOCAL_ZONES } from "./local-names.ts";
import { createRelay } from "./relay.ts";
import { parseResolver, type ResolverAddress } from "./resolver-address.ts";

export interface ResolverGroups {
  readonly resolvers: readonly string[];
  /** In their place for names at and under `zone`. */
  readonly splits: readonly { readonly zone: string; readonly resolvers: readonly string[] }[];
}

export interface Resolvers extends Forwarder {
  /** Whether a name that means something only in the network itself is asked of somebody in it. */
  isAsked(name: string): boolean;
  close(): void;
}

export const openResolvers = ({ resolvers, splits }: ResolverGroups, log: Logger): Resolvers => {
  const opened = new Map<string, Forwarder>();
  const closing: (() => void)[] = [];
  const open = (group: readonly ResolverAddress[]): Forwarder => {
    const relay = createRelay({ resolvers: group, log });
    closing.push(() => relay.close());
    return relay;
  };
  const all = resolvers.map(parseResolver);
  const rest = open(all);
  const inside = all.filter(({ host }) => isPrivate(host));
  if (inside.length > 0) {
    const insiders = inside.length === all.length ? rest : open(inside);
    for (const zone of LOCAL_ZONES) opened.set(zone, insiders);
  }
  for (const one of splits) opened.set(one.zone, open(one.resolvers.map(parseResolver)));
  const zones = new ZoneTable(opened);
  return {
    forward: (query) => (zones.find(query.qname) ?? rest).forward(query),
    isAsked: (name) => inside.length === all.length || zones.find(name) !== undefined,
    close: () => {
      for (const close of closing) close();
    },
  };
};

const isPrivate = parsePrefixes(["private"]);
