// Name constraints (RFC 5280 4.2.1.10): which names a root may speak for. A name counts as covered only where every verifier agrees.
import { isIP } from "node:net";
import { content, contextual, decode, type Node, parts, sequence, tagged } from "./asn1.ts";
import { addressBytes } from "./host.ts";

interface Range {
  readonly address: Buffer;
  readonly mask: Buffer;
}

interface Subtrees {
  /** In lower case. A leading dot leaves the name itself out, as Go and OpenSSL read it. */
  readonly names: readonly string[];
  readonly ranges: readonly Range[];
}

export interface NameConstraints {
  readonly permitted: Subtrees;
  readonly excluded: Subtrees;
}

const NOTHING: Subtrees = { names: [], ranges: [] };
const EVERY_ADDRESS: Subtrees = {
  names: [],
  ranges: [4, 16].map((bytes) => ({ address: Buffer.alloc(bytes), mask: Buffer.alloc(bytes) })),
};
const DNS_NAME = 2;
const IP_ADDRESS = 7;

/** Anything may be signed. */
export const UNCONSTRAINED: NameConstraints = { permitted: NOTHING, excluded: NOTHING };

/**
 * These names and what is below them, and no address at all: constraints on names say nothing about addresses, so those are excluded by
 * themselves. Names are never excluded (Go's issue 76935). Takes plain host names.
 * Throws RangeError for none: that would permit all.
 */
export const onlyNames = (names: readonly string[]): NameConstraints => {
  if (names.length === 0) throw new RangeError("a constrained root needs a name");
  const all = [...new Set(names)];
  const widest = all.filter((name) => !all.some((other) => other !== name && isBelow(name, other)));
  return { permitted: { names: widest, ranges: [] }, excluded: EVERY_ADDRESS };
};

/** Whether a leaf for `name`, a plain host name or an address, is within the constraints. */
export const permits = ({ permitted, excluded }: NameConstraints, name: string): boolean => {
  const within = (subtrees: Subtrees) => (isIP(name) === 0 ? inNames(subtrees, name) : inRanges(subtrees, addressBytes(name)));
  const limits = isIP(name) === 0 ? permitted.names : permitted.ranges;
  return (limits.length === 0 || within(permitted)) && !within(excluded);
};

const inNames = ({ names }: Subtrees, name: string): boolean => names.some((base) => isBelow(name, base));

/** At label boundaries only: `ghcr.io` holds itself and `a.ghcr.io`, never `notghcr.io`. */
const isBelow = (name: string, base: string): boolean => {
  if (base === "" || name === base) return true;
  return name.endsWith(base.startsWith(".") ? base : `.${base}`);
};

const inRanges = ({ ranges }: Subtrees, bytes: Buffer): boolean =>
  ranges.some(
    ({ address, mask }) =>
      address.length === bytes.length && bytes.every((byte, i) => (byte & mask[i]!) === (address[i]! & mask[i]!)),
  );

/** The extension's value. */
export const encodeConstraints = ({ permitted, excluded }: NameConstraints): Node => {
  const trees = [permitted, excluded].map(({ names, ranges }) => [
    ...names.map((name) => sequence(tagged(DNS_NAME, Buffer.from(name, "latin1")))),
    ...ranges.map(({ address, mask }) => sequence(tagged(IP_ADDRESS, Buffer.concat([address, mask])))),
  ]);
  // An empty list of subtrees is not allowed: the field is left out.
  return sequence(...trees.flatMap((tree, tag) => (tree.length === 0 ? [] : [tagged(tag, tree)])));
};

/** From the extension's value; without one nothing is constrained. Throws Error for what cannot be read. */
export const decodeConstraints = (value: Buffer | undefined): NameConstraints => {
  if (value === undefined) return UNCONSTRAINED;
  const fields = parts(decode(value));
  const subtrees = (tag: number): Subtrees => {
    // Each GeneralSubtree: base, then minimum and maximum, which RFC 5280 does not use.
    const bases = parts(contextual(fields, tag)).map((subtree) => parts(subtree)[0]);
    const of = (kind: number) => bases.filter((base) => base !== undefined && contextual([base], kind)).map(content);
    return { names: of(DNS_NAME).map((name) => name.toString("latin1").toLowerCase()), ranges: of(IP_ADDRESS).map(toRange) };
  };
  return { permitted: subtrees(0), excluded: subtrees(1) };
};

const toRange = (bytes: Buffer): Range => {
  if (bytes.length !== 8 && bytes.length !== 32) throw new Error("an address in the name constraints has a wrong length");
  return { address: bytes.subarray(0, bytes.length / 2), mask: bytes.subarray(bytes.length / 2) };
};

/** For people: `ghcr.io, quay.io`, or "any name". */
export const describeConstraints = ({ permitted }: NameConstraints): string =>
  permitted.names.length === 0 ? "any name" : permitted.names.join(", ");
