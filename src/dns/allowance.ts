// What the clients of one network may get over UDP, in octets of answers: a sender's address can be forged, and an answer is larger than
// its question. Beyond it answers are cut, which gives forgers nothing and sends clients to TCP, where nobody can pretend.
import { isIPv4 } from "node:net";
import { performance } from "node:perf_hooks";
import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import { plainAddress } from "../lib/prefixes.ts";
import { reverseName } from "./reverse-name.ts";

/** Ten thousand small answers each second, and after a quiet while forty thousand at once. */
const OCTETS_PER_SECOND = 1024 * 1024;
const BURST = 4 * OCTETS_PER_SECOND;
const KEPT = 4_096;

export class Allowance {
  readonly #now: Clock;
  #left = BURST;
  #at: number;

  constructor(now: Clock) {
    this.#now = now;
    this.#at = now();
  }

  get isSpent(): boolean {
    const now = this.#now();
    this.#left = Math.min(BURST, this.#left + ((now - this.#at) / 1_000) * OCTETS_PER_SECOND);
    this.#at = now;
    return this.#left <= 0;
  }

  spend(octets: number): void {
    this.#left -= octets;
  }
}

/** The allowance of an address's network, /24 or /56; this machine itself, which nobody can pretend to be, has none. `now` is monotonic. */
export const allowances = (now: Clock = () => performance.now()): ((address: string) => Allowance | undefined) => {
  const known = new LRUCache<string, Allowance>({ max: KEPT });
  return (address) => {
    const network = networkOf(plainAddress(address));
    if (network === undefined) return undefined;
    const held = known.get(network) ?? new Allowance(now);
    known.set(network, held);
    return held;
  };
};

const networkOf = (address: string): string | undefined => {
  if (address === "::1" || address.startsWith("127.")) return undefined;
  if (isIPv4(address)) return address.slice(0, address.lastIndexOf("."));
  // The last 14 of 32 digits backwards are the first 56 bits.
  return reverseName(address).split(".").slice(18, 32).join("");
};
