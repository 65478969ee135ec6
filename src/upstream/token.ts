// Bearer tokens for Layover itself: anonymous ones, and those that a shared site's own credentials buy. Which realms those may go to is
// own-realms.ts's to say, before anybody asks here.

import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import { upTo } from "../lib/lru.ts";
import { FollowerError, SingleFlight } from "../lib/single-flight.ts";
import { OciError } from "../oci/error.ts";
import type { Context } from "../oci/registry.ts";
import { readBounded } from "./body.ts";
import { parseRetryAfter } from "./retry-after.ts";
import { TokenServers } from "./token-servers.ts";
import type { Sent, Transport } from "./transport.ts";

const MAX_ANSWER = 1024 * 1024;
/** For a token, all in all. Milliseconds. */
const WITHIN = 10_000;
const MAX_TOKENS = 10_000;
/** What a token lives when its server does not say (Docker token specification). Seconds. */
const DEFAULT_LIFE = 60;
/** Not used in its last moments, which the way to upstream may take; of one that lives for moments, half its life. Milliseconds. */
const MARGIN = 10_000;

export interface TokenRequest {
  readonly realm: URL;
  readonly service: string | undefined;
  readonly scope: string | undefined;
  /** What buys it; `undefined` for an anonymous token. */
  readonly credential: Credential | undefined;
}

/** `Basic …`, or an identity token (OAuth 2.0's refresh token). */
export type Credential = { readonly basic: string } | { readonly identityToken: string };

/** Whether to ask a realm at all: an upstream on https has no business with what speaks plain HTTP inside the house. */
export const isRealmSecure = (realm: URL, upstream: URL): boolean => realm.protocol === "https:" || upstream.protocol === "http:";

/** By the token server, which is another than the registry, and may be so to us alone. */
export class TokensThrottled extends OciError {
  constructor(host: string, retryAfterMs: number | undefined) {
    super("TOOMANYREQUESTS", `${host} gives no token for now`, { retryAfterMs });
  }
}

export class Tokens {
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #servers: TokenServers;
  readonly #held = new LRUCache<string, { token: string; until: number }>(upTo(MAX_TOKENS));
  readonly #fetching = new SingleFlight<string>();

  /** `now` in monotonic milliseconds. */
  constructor(transport: Transport, clock: Clock, now = () => performance.now()) {
    this.#transport = transport;
    this.#clock = clock;
    this.#servers = new TokenServers(now);
  }

  /** The whole `Authorization` value. Throws what the token server says: UNAUTHORIZED, DENIED, UPSTREAM_INVALID, UPSTREAM_UNREACHABLE. */
  async get(request: TokenRequest, ctx: Context): Promise<string> {
    const key = keyOf(request);
    const held = this.#held.get(key);
    if (held !== undefined && this.#clock() < held.until) return `Bearer ${held.token}`;
    return `Bearer ${await this.#share(key, request, ctx)}`;
  }

  /** Whether `get` would ask nobody. */
  holds(request: TokenRequest): boolean {
    const held = this.#held.get(keyOf(request));
    return held !== undefined && this.#clock() < held.until;
  }

  /** Upstream did not take it: the next one is fetched anew. */
  forget(request: TokenRequest): void {
    this.#held.delete(keyOf(request));
  }

  async #share(key: string, request: TokenRequest, ctx: Context): Promise<string> {
    try {
      const work = (signal: AbortSignal) =>
        this.#servers.ask(request.realm, signal, () =>
          this.#inTime(request, signal, (s) => this.#fetch(key, request, { ...ctx, signal: s })),
        );
      return (await this.#fetching.run(key, ctx.signal, work)).value;
    } catch (error) {
      // the question was the same, so its failure is this caller's as well
      throw error instanceof FollowerError ? error.cause : error;
    }
  }

  /** A server that takes the question and keeps it is away as well. */
  async #inTime<T>({ realm }: TokenRequest, signal: AbortSignal, fetch: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = AbortSignal.timeout(WITHIN);
    try {
      return await fetch(AbortSignal.any([signal, late]));
    } catch (error) {
      if (late.aborted && !signal.aborted) throw new OciError("UPSTREAM_UNREACHABLE", `${realm.host} does not answer in time`);
      throw error;
    }
  }

  async #fetch(key: string, request: TokenRequest, { signal, tally }: Context): Promise<string> {
    const { credential } = request;
    const question =
      credential !== undefined && "identityToken" in credential ? oauthQuestion(request, credential) : plainQuestion(request);
    const { host } = request.realm;
    const answer = await this.#transport.send({ ...question, kind: "token", signal, tally });
    const body = await readBounded(answer.body, MAX_ANSWER);
    // an identity token that is good no more is an "invalid_grant" (RFC 6749 §5.2)
    if (answer.status === 401 || (answer.status === 400 && question.method === "POST"))
      throw new OciError("UNAUTHORIZED", `${host} gives no token`);
    if (answer.status === 403) throw new OciError("DENIED", `${host} gives no token`);
    if (answer.status === 429) throw new TokensThrottled(host, parseRetryAfter(answer.header("retry-after"), this.#clock()));
    if (answer.status !== 200) throw new OciError("UPSTREAM_INVALID", `the token server ${host} answers ${answer.status}`);
    const { token, expiresIn } = parseToken(body, host);
    const lives = expiresIn * 1_000;
    this.#held.set(key, { token, until: this.#clock() + Math.max(lives - MARGIN, lives / 2) });
    return token;
  }
}

type TokenQuestion = Pick<Sent, "method" | "url" | "headers" | "body">;

/** Docker token specification: https://distribution.github.io/distribution/spec/auth/token/ */
const plainQuestion = ({ realm, service, scope, credential }: TokenRequest): TokenQuestion => {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set("service", service);
  if (scope !== undefined) {
    url.searchParams.delete("scope");
    for (const one of scope.split(" ")) if (one !== "") url.searchParams.append("scope", one);
  }
  const headers = credential === undefined || !("basic" in credential) ? {} : { authorization: credential.basic };
  return { method: "GET", url, headers };
};

/** The same with an identity token: https://distribution.github.io/distribution/spec/auth/oauth/ */
const oauthQuestion = ({ realm, service, scope }: TokenRequest, { identityToken }: { identityToken: string }): TokenQuestion => ({
  method: "POST",
  url: realm,
  headers: { "content-type": "application/x-www-form-urlencoded" },
  body: new URLSearchParams({
    grant_type: "refresh_token",
    client_id: "layover",
    ...(service !== undefined && { service }),
    ...(scope !== undefined && { scope }),
    refresh_token: identityToken,
  }).toString(),
});

/** Keyed by who asks as well as for what: a privileged token never serves an anonymous question. */
const keyOf = ({ realm, service, scope, credential }: TokenRequest): string => {
  const who = credential === undefined ? "" : createHash("sha256").update(JSON.stringify(credential)).digest("hex");
  return [who, realm.href, service ?? "", scope ?? ""].join("\n");
};

const parseToken = (body: Buffer, host: string): { token: string; expiresIn: number } => {
  const answer = parseJson(body, host);
  const token = answer["token"] || answer["access_token"];
  const life = answer["expires_in"];
  if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token))
    throw new OciError("UPSTREAM_INVALID", `the token server ${host} gives no token`);
  return { token, expiresIn: typeof life === "number" && life > 0 ? Math.min(life, 86_400) : DEFAULT_LIFE };
};

const parseJson = (body: Buffer, host: string): Record<string, unknown> => {
  try {
    const value: unknown = JSON.parse(body.toString());
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // said below, with no word of what was in it
  }
  throw new OciError("UPSTREAM_INVALID", `the token server ${host} answers with what is no JSON`);
};
