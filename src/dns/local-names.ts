// Names that mean something only within a network: public resolvers know nothing of them, and shall learn nothing. Those of private
// addresses (RFC 6303, RFC 7793) and of special use (RFC 6761, 6762, 7686, 8375) do not exist here, unless somebody inside is asked
// for them; our own addresses have our name.
import { ZoneTable } from "../lib/zone-table.ts";
import { pointerRecord, soaRecord } from "./own-records.ts";
import type { Query } from "./prescreen.ts";
import { ownReply } from "./reply.ts";
import { reverseName } from "./reverse-name.ts";
import { RCODE, TYPE } from "./wire.ts";
import type { Zone } from "./zone.ts";

export interface LocalNamesOptions {
  /** Our addresses at this moment. */
  readonly addresses: () => readonly string[];
  /** What they are called. */
  readonly name: string;
  /** Whether somebody is asked for such names who knows of them: a split rule, or a resolver within the network. */
  readonly isAsked: (name: string) => boolean;
}

const numbered = (from: number, to: number, parent: string) =>
  Array.from({ length: to - from + 1 }, (_, i) => `${from + i}.${parent}`);

const reverse4 = [
  ...["0", "10", "127", "254.169", "168.192", "2.0.192", "100.51.198", "113.0.203", "255.255.255.255"],
  ...numbered(16, 31, "172"),
  ...numbered(64, 127, "100"),
].map((prefix) => `${prefix}.in-addr.arpa`);
const reverse6 = ["c.f", "d.f", "8.e.f", "9.e.f", "a.e.f", "b.e.f", "8.b.d.0.1.0.0.2"].map((prefix) => `${prefix}.ip6.arpa`);

/** Each with all that is under it. */
export const LOCAL_ZONES: readonly string[] = [
  ...["local", "localhost", "internal", "home.arpa", "onion", "invalid"],
  ...reverse4,
  ...reverse6,
  reverseName("::"),
  reverseName("::1"),
];

const TTL = 30;
/** Asked for single labels, which are hosts then; what is asked of top-level domains (DS, NS) is another matter. */
const HOST_TYPES: ReadonlySet<number> = new Set([TYPE.A, TYPE.AAAA, TYPE.HTTPS, TYPE.SVCB]);

/** What `zone` answers, and after it such names. */
export const withLocalNames = (zone: Zone, { addresses, name, isAsked }: LocalNamesOptions): Zone => {
  const table = new ZoneTable(LOCAL_ZONES.map((apex) => [apex, apex] as const));
  const isOwn = (qname: string) => qname.endsWith(".arpa") && addresses().some((address) => reverseName(address) === qname);

  const local = (query: Query): Buffer | undefined => {
    const { qname, qtype } = query;
    if (isOwn(qname)) {
      if (qtype === TYPE.PTR || qtype === TYPE.ANY)
        return ownReply(query, RCODE.NOERROR, { answers: [pointerRecord(name, TTL)] });
      return negative(query, qname, RCODE.NOERROR);
    }
    const apex = table.find(qname) ?? (isSingleLabel(qname) && HOST_TYPES.has(qtype) ? qname : undefined);
    // Whether a zone is signed is told by the one above it, which is public.
    if (apex === undefined || isAsked(qname) || (qname === apex && qtype === TYPE.DS)) return undefined;
    return negative(query, apex, qname === apex && qname.includes(".") ? RCODE.NOERROR : RCODE.NXDOMAIN);
  };

  return {
    answer: (query, client) => {
      const own = zone.answer(query, client);
      if (own instanceof Promise) return own.then((found) => found ?? local(query));
      return own ?? local(query);
    },
  };
};

const isSingleLabel = (qname: string): boolean => qname !== "" && !/(?<!\\)\./.test(qname);

const negative = (query: Query, apex: string, rcode: typeof RCODE.NOERROR | typeof RCODE.NXDOMAIN): Buffer =>
  ownReply(query, rcode, { authorities: [soaRecord(query, apex, TTL)] });
