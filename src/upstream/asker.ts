// Who a question to upstream is asked as: the client itself, Layover under its own credentials, or anybody.
import { basicCredential } from "../oci/basic.ts";
import { isOciError, OciError } from "../oci/error.ts";
import type { Context } from "../oci/registry.ts";
import type { OwnCredentials } from "../sites.ts";
import { drop } from "./body.ts";
import type { Credentials } from "./credentials.ts";
import { meeting, type Send, type Who } from "./meet.ts";
import type { OwnRealms } from "./own-realms.ts";
import { type Credential, isRealmSecure, type Tokens } from "./token.ts";
import type { Received } from "./transport.ts";

/** Sends, once or, after a challenge that it can meet, twice. `scope` is what a token for it is to be for, where the challenge does not say. */
export type Asker = (send: Send, upstream: URL, ctx: Context, scope?: string) => Promise<Received>;

/** With the client's own credential, verbatim; its challenge is the client's to meet. */
export const asClient: Asker = (send, _upstream, ctx) => send(ctx.credential);

/** With no credential, fetching the anonymous token that the challenge asks for. */
export const asAnybody = (tokens: Tokens): Asker => {
  const meet = meeting(tokens);
  return (send, upstream, ctx, scope) => meet(ANYBODY, { upstream, scope, ctx }, send);
};

/**
 * With Layover's own credentials, whoever the client is; they go to the upstream and to what `realms` lets them go to. What upstream refuses is
 * asked once more where there are others by then.
 */
export const asLayover = (realms: OwnRealms, tokens: Tokens, credentials: Credentials): Asker => {
  const meet = meeting(tokens);
  const askWith = (used: OwnCredentials, ...[send, upstream, ctx, scope]: Parameters<Asker>): Promise<Received> => {
    if (used.token !== undefined) return send(`Bearer ${used.token}`);
    const credential = credentialOf(used);
    return meet(credential === undefined ? ANYBODY : { credential, realms }, { upstream, scope, ctx }, send);
  };
  return async (send, upstream, ctx, scope) => {
    const used = await credentials.for(upstream, ctx.signal);
    const outcome = await outcomeOf(askWith(used, send, upstream, ctx, scope), upstream);
    if (!outcome.isRefused) return outcome.end();
    const others = await credentials.insteadOf(used, upstream, ctx.signal);
    if (others === undefined) return outcome.end();
    outcome.leave();
    return askWith(others, send, upstream, ctx, scope);
  };
};

/**
 * For clients whom nobody has asked who they are: what upstream refuses is Layover's own credential, so its challenge is none of theirs to meet,
 * with a password that is none of its business. Throws DENIED in place of a 401.
 */
export const withoutChallenge =
  (asker: Asker): Asker =>
  async (send, upstream, ctx, scope) => {
    const denied = (cause?: unknown) => new OciError("DENIED", `${upstream.host} refuses Layover's own credentials`, { cause });
    const answer = await asker(send, upstream, ctx, scope).catch((error: unknown) => {
      throw isOciError(error) && error.code === "UNAUTHORIZED" ? denied(error) : error;
    });
    if (answer.status !== 401 || answer.url.origin !== upstream.origin) return answer;
    drop(answer.body);
    throw denied();
  };

interface Outcome {
  readonly isRefused: boolean;
  readonly end: () => Received;
  readonly leave: () => void;
}

/** Refused by the upstream, or by its token server; not by where a redirect has led to. */
const outcomeOf = async (asking: Promise<Received>, upstream: URL): Promise<Outcome> => {
  try {
    const answer = await asking;
    const isRefused = (answer.status === 401 || answer.status === 403) && answer.url.origin === upstream.origin;
    return { isRefused, end: () => answer, leave: () => drop(answer.body) };
  } catch (error) {
    if (!isOciError(error) || !error.isRefusal) throw error;
    const end = () => {
      throw error;
    };
    return { isRefused: true, end, leave: () => undefined };
  }
};

/** What a `Basic` credential says; `undefined` for any other (RFC 7617 §2). */
export const loginOf = (credential: string | undefined): OwnCredentials | undefined => {
  const [, encoded] = /^basic +([a-z0-9+/=]+) *$/i.exec(credential ?? "") ?? [];
  const [, username, password] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded ?? "", "base64").toString()) ?? [];
  return username === undefined || password === undefined ? undefined : { username, password };
};

const credentialOf = ({ username, password, identityToken }: OwnCredentials): Credential | undefined => {
  if (identityToken !== undefined) return { identityToken };
  if (username === undefined) return undefined;
  return { basic: basicCredential(username, password ?? "") };
};

/** For a token of anybody's any realm will do that an upstream on https has business with. */
const secureRealms: OwnRealms = async (realm, upstream) => {
  if (isRealmSecure(realm, upstream)) return;
  const named = `${realm.protocol}//${realm.host}`;
  throw new OciError("UPSTREAM_INVALID", `the realm ${named} is not one that a secure upstream may send to`);
};

const ANYBODY: Who = { credential: undefined, realms: secureRealms };
