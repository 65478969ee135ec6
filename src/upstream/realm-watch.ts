// Whether a realm that has been there is there no more, found out behind the clients that are sent to it. That it is gone is looked at
// twice before anybody is kept from going there himself, and one that was never reached from here may be there for others.
import { LRUCache } from "lru-cache";
import { upTo } from "../lib/lru.ts";
import { probe, realmIn } from "./realm.ts";
import type { Transport } from "./transport.ts";

/** How often one that answers is looked for, while anybody is sent there; what is older says nothing of one that does not. Milliseconds. */
const EVERY = 10_000;
/** How soon after one no there may be a second. Milliseconds. */
const AGAIN_AFTER = 1_000;
/** Noes in a row that are enough to go by. */
const SURE = 2;

interface Watched {
  hasAnswered: boolean;
  noes: number;
  at: number;
  running: Promise<void> | undefined;
}

/** Gives whether the realm of these challenges is gone; waits only while that is likely. `now` in monotonic milliseconds. */
export const realmWatch = (
  transport: Transport,
  upstream: URL,
  now: () => number,
): ((challenges: readonly string[]) => Promise<boolean>) => {
  const realms = new LRUCache<string, Watched>(upTo(100));
  const look = (realm: URL, watched: Watched): Promise<void> => {
    watched.running ??= probe(transport, realm).then((answers) => {
      watched.running = undefined;
      watched.at = now();
      watched.noes = answers ? 0 : watched.noes + 1;
      watched.hasAnswered ||= answers;
    });
    return watched.running;
  };
  return async (challenges) => {
    const realm = realmIn(challenges, upstream);
    if (realm === undefined) return false;
    const watched = realms.get(realm.href) ?? { hasAnswered: false, noes: 0, at: Number.NEGATIVE_INFINITY, running: undefined };
    realms.set(realm.href, watched);
    const age = now() - watched.at;
    // one that is gone is looked for each time: whoever comes when it is back must not be kept from it
    if (watched.noes >= SURE || (watched.noes > 0 && age >= AGAIN_AFTER)) await look(realm, watched);
    else if (age >= EVERY) void look(realm, watched);
    return watched.hasAnswered && watched.noes >= SURE;
  };
};
