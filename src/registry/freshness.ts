// What may be done with what is known of a tag, by its rule and the clock alone. One place, so that who serves and who explains agree.
import type { TagFact } from "../store/facts.ts";
import type { Ruling } from "./policy.ts";
import { stays } from "./staying.ts";

/**
 * `pinned` (it stays: staying.ts), `fresh`: served without a question. `meanwhile`: served at once, with a question behind it.
 * `stale`: upstream is to be asked first. `none`: there is no digest.
 */
export type State = "none" | "pinned" | "fresh" | "meanwhile" | "stale";

export interface Freshness {
  readonly state: State;
  /** ms since upstream last confirmed it. */
  readonly age: number;
  /** ms until it is so no longer, where time alone changes it. */
  readonly left: number | undefined;
  /** It may be served if upstream cannot be asked. */
  readonly mayFallBack: boolean;
}

export const freshnessOf = (fact: TagFact, ruling: Ruling, now: number): Freshness => {
  const since = now - fact.checkedAt;
  const age = Math.max(0, since);
  if (fact.digest === undefined) return { state: "none", age, left: undefined, mayFallBack: false };
  if (stays(fact, ruling)) return { state: "pinned", age, left: undefined, mayFallBack: true };
  const mayFallBack = ruling.isOffline || age < ruling.staleIfError;
  // a fact from the future comes of a clock that was turned back: nobody knows how old it is
  const isTrusted = since >= 0 && !fact.doubted;
  const fresh = ruling.freshFor - age;
  if (isTrusted && fresh > 0) return { state: "fresh", age, left: fresh, mayFallBack };
  const meanwhile = fresh + ruling.staleWhileRevalidate;
  if (isTrusted && meanwhile > 0) return { state: "meanwhile", age, left: meanwhile, mayFallBack };
  return { state: "stale", age, left: mayFallBack && !ruling.isOffline ? ruling.staleIfError - age : undefined, mayFallBack };
};
