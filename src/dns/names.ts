// Addresses of names, for our own connections: asked of resolvers as a client's question is, so that the system's resolver, which may be
// ourselves, has no part in it.
import type { LookupFunction } from "node:net";
import type { Forwarder } from "./answer.ts";
import { plainName } from "./own-records.ts";
import { prescreen } from "./prescreen.ts";
import { readAddresses } from "./records.ts";
import { RCODE, rcodeName, rcodeOf, TYPE } from "./wire.ts";

export interface NameAddress {
  readonly address: string;
  /** Seconds. */
  readonly ttl: number;
}

/** Rejects when there is none, or when nobody can tell. */
export const addressesOf = async (host: string, family: 4 | 6, forwarder: Forwarder): Promise<NameAddress[]> => {
  const type = family === 4 ? TYPE.A : TYPE.AAAA;
  const screened = prescreen(question(host, type));
  if (screened.verdict !== "query") throw new Error(`${host} is no name that could be asked for`);
  const reply = await forwarder.forward(screened.query);
  const found = rcodeOf(reply) === RCODE.NOERROR ? readAddresses(reply, screened.query.questionEnd, type) : [];
  if (found.length === 0) throw new Error(`${host} has no ${family === 4 ? "A" : "AAAA"} record (${rcodeName(rcodeOf(reply))})`);
  return found;
};

/** A header with RD, one question, and an OPT, so that many addresses come in one packet. */
const question = (host: string, type: number): Buffer => {
  const header = Buffer.from([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
  const opt = Buffer.from([0, 0, TYPE.OPT, 4, 0xd0, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, plainName(host.replace(/\.$/, "")), Buffer.from([0, type, 0, 1]), opt]);
};

/** Both families, IPv4 first. */
export const lookupOver =
  (forwarder: Forwarder): LookupFunction =>
  (host, options, done) => {
    const families: readonly (4 | 6)[] = options.family === 4 || options.family === 6 ? [options.family] : [4, 6];
    const asked = families.map(async (family) => {
      const found = await addressesOf(host, family, forwarder).catch(() => []);
      return found.map(({ address }) => ({ address, family }));
    });
    void Promise.all(asked).then((lists) => {
      const all = lists.flat();
      const [first] = all;
      if (first === undefined) done(new Error(`no resolver knows ${host}`), "", 4);
      else if (options.all === true) done(null, all);
      else done(null, first.address, first.family);
    });
  };
