// How many of something there are, in all and for each client by its address, so that no client alone can have them all. Behind one IPv4 address
// may be many; an IPv6 client has a /64 to itself (RFC 6177), and counts as one whatever it picks of it.
import { isIPv6 } from "node:net";
import { plainAddress } from "./prefixes.ts";

export interface Bounds {
  readonly all: number;
  readonly each: number;
}

export class Headcount {
  readonly bounds: Bounds;
  readonly #each = new Map<string, number>();
  #all = 0;

  constructor(bounds: Bounds) {
    this.bounds = bounds;
  }

  get all(): number {
    return this.#all;
  }

  /** Gives what to call, once, when it is over; undefined: there are too many. */
  enter(address: string): (() => void) | undefined {
    const who = clientOf(address);
    const now = this.#each.get(who) ?? 0;
    if (this.#all >= this.bounds.all || now >= this.bounds.each) return undefined;
    this.#all += 1;
    this.#each.set(who, now + 1);
    return () => this.#leave(who);
  }

  #leave(who: string): void {
    this.#all -= 1;
    const left = this.#each.get(who)! - 1;
    if (left === 0) this.#each.delete(who);
    else this.#each.set(who, left);
  }
}

/** Whom an address stands for. */
export const clientOf = (address: string): string => {
  const plain = plainAddress(address);
  if (!isIPv6(plain)) return plain;
  const [head = "", tail] = plain.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups =
    tail === undefined ? left : [...left, ...Array<string>(Math.max(0, 8 - left.length - right.length)).fill("0"), ...right];
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":");
};
