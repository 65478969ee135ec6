// Names that exist for a test alone, told by a resolver on a real socket.
import { decode, encode } from "dns-packet";
import { onTestFinished } from "vitest";
import { plainNames } from "../../src/upstream/plain-names.ts";
import { UpstreamResolver } from "../../src/upstream/resolver.ts";
import { type Asked, fakeResolver } from "../dns/resolver.ts";

export interface Zone {
  A?: string[];
  AAAA?: string[];
  /** Questions of these types stay without an answer. */
  silent?: readonly string[];
  rcode?: "NXDOMAIN" | "SERVFAIL";
}

const RCODES = { NXDOMAIN: 3, SERVFAIL: 2 };

/** Every name has the zone's addresses. */
export const answering = (zone: Zone) => (asked: Asked) => {
  const { id, questions } = decode(asked.message);
  const [question] = questions;
  const type = question!.type as "A" | "AAAA";
  if (zone.silent?.includes(type) ?? false) return;
  const answers = (zone[type] ?? []).map((data) => ({ type, name: question!.name, ttl: 60, data }));
  const rcode = zone.rcode === undefined ? 0 : RCODES[zone.rcode];
  asked.send(encode({ id, type: "response", flags: 0x180 | rcode, questions, answers: rcode === 0 ? answers : [] }));
};

/** Resolves every name to `addresses`. */
export const namesAt = (...addresses: string[]): Promise<UpstreamResolver> =>
  namesOf({
    A: addresses.filter((address) => !address.includes(":")),
    AAAA: addresses.filter((address) => address.includes(":")),
  });

/** Never answers. */
export const silentNames = (): Promise<UpstreamResolver> => namesOf({ silent: ["A", "AAAA"] });

const namesOf = async (zone: Zone): Promise<UpstreamResolver> => {
  const fake = await fakeResolver(answering(zone));
  onTestFinished(() => fake[Symbol.asyncDispose]());
  return new UpstreamResolver({ names: plainNames([fake.text]), isOurs: () => false });
};
