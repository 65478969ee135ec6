// Whether the realm of a challenge gives any answer at all: a client that is sent there then gets somewhere.
import { LRUCache } from "lru-cache";
import { bearerOf } from "./challenge.ts";
import { isRealmSecure } from "./token.ts";
import type { Transport } from "./transport.ts";

/** A client waits for this one, after it has waited for upstream. Milliseconds. */
const WITHIN = 1_000;
/** Remembered for so long: in an outage not every client waits to find out the same. Milliseconds. */
const PROBED_FOR = 10_000;

export const realmProbe = (transport: Transport, upstream: URL): ((challenges: readonly string[]) => Promise<boolean>) => {
  const probed = new LRUCache<string, Promise<boolean>>({ max: 100, ttl: PROBED_FOR });
  return async (challenges) => {
    const realm = bearerOf(challenges)?.realm;
    if (realm === undefined || !isRealmSecure(realm, upstream)) return false;
    const answer = probed.get(realm.href) ?? probe(transport, realm);
    // the time begins with the first question, not with the last look
    if (!probed.has(realm.href)) probed.set(realm.href, answer);
    return answer;
  };
};

const probe = async (transport: Transport, url: URL): Promise<boolean> => {
  const tally = { upstreamBytes: 0, upstreamRequests: 0 };
  try {
    const signal = AbortSignal.timeout(WITHIN);
    const answer = await transport.send({ method: "GET", url, kind: "token", headers: {}, signal, tally });
    await answer.body.dump();
    return answer.status < 500;
  } catch {
    return false;
  }
};
