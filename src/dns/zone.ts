// What Layover itself answers: every type of every hijacked name, so that nothing (an HTTPS record's address hints, a CNAME)
// leads a client round it. What it does not answer is relayed.

import { isIPv4 } from "node:net";
import { Packet } from "./dns2.ts";
import { perClient } from "./per-client.ts";
import type { Query } from "./prescreen.ts";
import { readyMade } from "./ready-made.ts";
import { emptyReply, UDP_SIZE } from "./reply.ts";
import { TTL } from "./ttl.ts";
import { CLASS_IN, HEADER, RCODE, TYPE } from "./wire.ts";

export interface ZoneOptions {
  /** The names to answer for. `failOpen`: answered with their real addresses while the front end is not well. */
  readonly names: { find(name: string): { readonly failOpen: boolean } | undefined };
  /** Our addresses as that client reaches us, in plain text form; undefined: the client is not to be hijacked. */
  readonly addressesFor: (client: string) => Promise<readonly string[] | undefined> | readonly string[] | undefined;
  /** Whether a client, by address, is hijacked at all: always the same for the same one. */
  readonly hijackFor: (client: string) => boolean;
  /** Whether the front end is well. */
  readonly healthy: () => boolean;
  /** Which of our addresses are answered at this moment, in that order; none, only where it may fail open: it does. Default: all. */
  readonly choose?: ((addresses: readonly string[], failOpen: boolean) => readonly string[]) | undefined;
  /** Seconds, for positive and negative answers alike: how long after a failure clients still come to us. Default 30. */
  readonly ttl?: number;
}

export interface Zone {
  /**
   * A whole message, of any size; undefined: not ours, to be relayed. At once, unless `addressesFor` has to find something out;
   * throws and rejects only as that does.
   */
  answer(query: Query, client: string): Promise<Buffer | undefined> | Buffer | undefined;
}

/** RFC 9462 8.2: served locally and empty, or clients would learn of the resolver's own DoH and leave us. */
const DISCOVERY = "resolver.arpa";
/** Firefox turns its own DoH off where this does not exist. */
const CANARY = "use-application-dns.net";
/** The name that the SVCB or HTTPS record of a host has for another port (RFC 9460 2.3, 9.1). */
const SERVICE_PREFIX = /^_\d+\._https\./;

export const createZone = (options: ZoneOptions): Zone => {
  const { names, addressesFor, healthy, choose = (addresses) => addresses, ttl = TTL } = options;
  const hijackFor = perClient(options.hijackFor);
  const render = readyMade((query, addresses) => answerWith(query, apexOf(query.qname), addresses, ttl));

  const hijack = (query: Query, client: string, failOpen: boolean): Promise<Buffer | undefined> | Buffer | undefined => {
    if (failOpen && !healthy()) return undefined;
    const settle = (addresses: readonly string[] | undefined): Buffer | undefined => {
      if (addresses === undefined) return undefined;
      if (addresses.length === 0) return failOpen ? undefined : emptyReply(query, RCODE.SERVFAIL);
      const chosen = choose(addresses, failOpen);
      return chosen.length === 0 ? undefined : render(query, chosen);
    };
    const addresses = addressesFor(client);
    return addresses instanceof Promise ? addresses.then(settle) : settle(addresses);
  };

  return {
    answer: (query, client) => {
      const { qname, qtype } = query;
      if (isDiscovery(qname)) return negative(query, DISCOVERY, RCODE.NOERROR, ttl);
      if (!hijackFor(client)) return undefined;
      if (qname === CANARY && isAddressType(qtype)) return negative(query, CANARY, RCODE.NXDOMAIN, ttl);
      const name = names.find(apexOf(qname));
      return name && hijack(query, client, name.failOpen);
    },
  };
};

const apexOf = (qname: string): string => (qname.startsWith("_") ? qname.replace(SERVICE_PREFIX, "") : qname);

/** Names with odd characters are left out: dns2 would split their labels. */
const isDiscovery = (name: string): boolean => (name === DISCOVERY || name.endsWith(`.${DISCOVERY}`)) && !name.includes("\\");

const isAddressType = (type: number): boolean => type === TYPE.A || type === TYPE.AAAA;

const typeOf = (address: string): number => (isIPv4(address) ? TYPE.A : TYPE.AAAA);

/** ANY gets what there is, which is little (RFC 8482 4.1). */
const isWanted = (type: number, address: string): boolean => type === TYPE.ANY || type === typeOf(address);

const answerWith = (query: Query, apex: string, addresses: readonly string[], ttl: number): Buffer => {
  const wanted = apex === query.qname ? addresses.filter((address) => isWanted(query.qtype, address)) : [];
  return wanted.length > 0 ? positive(query, wanted, ttl) : negative(query, apex, RCODE.NOERROR, ttl);
};

const positive = (query: Query, addresses: readonly string[], ttl: number): Buffer => {
  const packet = packetFor(query, RCODE.NOERROR);
  const name = wireName(query);
  packet.answers = addresses.map((address) => record({ name, type: typeOf(address), ttl, address }));
  return packet.toBuffer();
};

/** Nothing of that type, or (NXDOMAIN) of that name: kept by clients for the SOA's time (RFC 2308 5). */
const negative = (query: Query, apex: string, rcode: number, ttl: number): Buffer => {
  const packet = packetFor(query, rcode);
  packet.authorities = [record({ name: apex, type: TYPE.SOA, ttl, ...soa(apex, ttl) })];
  return packet.toBuffer();
};

/** As for the other zones that every resolver serves locally (RFC 6303 3). */
const soa = (apex: string, minimum: number) => ({
  primary: apex,
  admin: "nobody.invalid",
  serial: 1,
  refresh: 3600,
  retry: 1200,
  expiration: 604_800,
  minimum,
});

const packetFor = (query: Query, rcode: number): Packet => {
  const packet = new Packet();
  const flags = { id: query.id, qr: 1, aa: 1, rd: Number(query.rd), ra: 1, cd: Number(query.cd), rcode } as const;
  packet.header = new Packet.Header(flags as Partial<Packet["header"]>);
  packet.questions = [new Packet.Question(wireName(query), query.qtype, query.qclass)];
  if (query.edns) packet.additionals = [Packet.Resource.EDNS([], { doFlag: query.edns.do, udpPayloadSize: UDP_SIZE })];
  return packet;
};

const record = (fields: Partial<Packet["answers"][number]>) => new Packet.Resource({ class: CLASS_IN, ...fields });

/** In the client's own case. Only for names that are ours: their labels hold nothing that dns2 would split or change. */
const wireName = ({ message, questionEnd, qname }: Query): string => {
  const octets = message.toString("latin1", HEADER + 1, questionEnd - 5);
  return Array.from(qname, (character, i) => (character === "." ? "." : octets.charAt(i))).join("");
};
