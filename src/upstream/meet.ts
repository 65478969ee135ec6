// Meets an upstream's challenge, with a token that the realm sells or with a password; and remembers which it was, so that the next question
// of the same scope goes out at once with what it takes. Nothing but the challenge is remembered here: tokens.ts holds the tokens.
import { LRUCache } from "lru-cache";
import { upTo } from "../lib/lru.ts";
import type { Context } from "../oci/registry.ts";
import { drop } from "./body.ts";
import { bearerOf, parseChallenges } from "./challenge.ts";
import type { OwnRealms } from "./own-realms.ts";
import type { Credential, TokenRequest, Tokens } from "./token.ts";
import type { Received } from "./transport.ts";

/** Sends once with the `Authorization` that it is given. */
export type Send = (authorization: string | undefined) => Promise<Received>;

export interface Who {
  /** `undefined` for anybody. */
  readonly credential: Credential | undefined;
  /** Throws where a realm is not to be asked with it. */
  readonly realms: OwnRealms;
}

export interface Asked {
  readonly upstream: URL;
  /** What a token for the question is to be for, where upstream does not say; questions of the same scope take the same. */
  readonly scope: string | undefined;
  readonly ctx: Context;
}

/** Sends up to three times. A 401 that is given on has been met as well as can be. */
export type Meet = (who: Who, asked: Asked, send: Send) => Promise<Received>;

type Wanted = "basic" | Omit<TokenRequest, "credential">;

const MAX_REMEMBERED = 10_000;

export const meeting = (tokens: Tokens): Meet => {
  const remembered = new LRUCache<string, Wanted>(upTo(MAX_REMEMBERED));
  return async (who, { upstream, scope, ctx }, send) => {
    const key = `${upstream.origin} ${scope ?? ""}`;
    const expected = remembered.get(key);
    const ahead = expected && (await atHand(expected, who, tokens, ctx));
    const first = await send(ahead);
    // what a redirect has led to challenges nobody: the answer would never come to it
    if (first.status !== 401 || first.url.origin !== upstream.origin) return first;
    const wanted = wantedBy(first.headers("www-authenticate"), who, scope);
    if (wanted === undefined || (wanted === "basic" && ahead !== undefined)) return first;
    drop(first.body);
    remembered.set(key, wanted);
    if (wanted === "basic") return send(passwordOf(who));
    await who.realms(wanted.realm, upstream);
    const request: TokenRequest = { ...wanted, credential: who.credential };
    // it has just been refused
    if (ahead !== undefined && (await atHand(wanted, who, tokens, ctx)) === ahead) tokens.forget(request);
    const wasHeld = tokens.holds(request);
    const second = await send(await tokens.get(request, ctx));
    if (second.status !== 401) return second;
    tokens.forget(request);
    if (!wasHeld) return second;
    drop(second.body);
    return send(await tokens.get(request, ctx));
  };
};

/** What can be sent without asking anybody for it. */
const atHand = async (wanted: Wanted, who: Who, tokens: Tokens, ctx: Context): Promise<string | undefined> => {
  if (wanted === "basic") return passwordOf(who);
  const request = { ...wanted, credential: who.credential };
  return tokens.holds(request) ? tokens.get(request, ctx) : undefined;
};

const passwordOf = ({ credential }: Who): string | undefined =>
  credential !== undefined && "basic" in credential ? credential.basic : undefined;

/** `undefined`: nothing that we could meet. */
const wantedBy = (challenges: readonly string[], who: Who, scope: string | undefined): Wanted | undefined => {
  const bearer = bearerOf(challenges);
  // some say no scope, and mean what was asked for
  if (bearer !== undefined) return { ...bearer, scope: bearer.scope ?? scope };
  const isBasic = parseChallenges(challenges).some(({ scheme }) => scheme === "basic");
  return isBasic && passwordOf(who) !== undefined ? "basic" : undefined;
};
