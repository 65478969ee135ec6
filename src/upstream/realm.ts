// Whether the realm of a challenge gives any answer at all: a client that is sent there then gets somewhere.

import { LRUCache } from "lru-cache";
import { upTo } from "../lib/lru.ts";
import { ownContext } from "../oci/own-context.ts";
import { bearerOf } from "./challenge.ts";
import { isRealmSecure } from "./token.ts";
import type { Transport } from "./transport.ts";

/** A client waits for this one, after it has waited for upstream. Milliseconds. */
const WITHIN = 1_000;
/** Remembered for so long: in an outage not every client waits to find out the same. Milliseconds. */
const PROBED_FOR = 10_000;
/** A "no" that is older is still given, while it is found out anew behind whoever asks: only the first client of an outage waits. Milliseconds. */
const NO_FOR = 300_000;

interface Known {
  says: boolean | undefined;
  at: number;
  running: Promise<boolean> | undefined;
}

/** `now` in monotonic milliseconds. */
export const realmProbe = (
  transport: Transport,
  upstream: URL,
  now: () => number,
): ((challenges: readonly string[]) => Promise<boolean>) => {
  const realms = new LRUCache<string, Known>(upTo(100));
  const ask = (realm: URL, known: Known): Promise<boolean> => {
    known.running ??= probe(transport, realm).then((says) => {
      Object.assign(known, { says, at: now(), running: undefined });
      return says;
    });
    return known.running;
  };
  return async (challenges) => {
    const realm = realmIn(challenges, upstream);
    if (realm === undefined) return false;
    const known = realms.get(realm.href) ?? { says: undefined, at: 0, running: undefined };
    realms.set(realm.href, known);
    const age = now() - known.at;
    if (known.says !== undefined && age < PROBED_FOR) return known.says;
    const answer = ask(realm, known);
    return known.says === false && age < NO_FOR ? false : answer;
  };
};

/** `undefined`: none, or none that may be asked. */
export const realmIn = (challenges: readonly string[], upstream: URL): URL | undefined => {
  const realm = bearerOf(challenges)?.realm;
  return realm !== undefined && isRealmSecure(realm, upstream) ? realm : undefined;
};

/** Whether it gives any answer. Never rejects. */
export const probe = async (transport: Transport, url: URL): Promise<boolean> => {
  try {
    const { signal, tally } = ownContext("realm", AbortSignal.timeout(WITHIN));
    const answer = await transport.send({ method: "GET", url, kind: "token", headers: {}, signal, tally });
    await answer.body.dump();
    return answer.status < 500;
  } catch {
    return false;
  }
};
