// One question put to a site's upstreams: in their order, those that are away left out, each as its breaker and its budgets allow.
import type { Readable } from "node:stream";
import type { Clock } from "../lib/clock.ts";
import { type ErrorCode, isOciError } from "../oci/error.ts";
import type { Context } from "../oci/registry.ts";
import { invalid } from "./answer.ts";
import type { Asker } from "./asker.ts";
import type { Breaker, Kind } from "./breaker.ts";
import { repositoryIn } from "./holds.ts";
import type { Limits } from "./limits.ts";
import { refusalOf } from "./refusal.ts";
import { TokensThrottled } from "./token.ts";
import type { Received, Sent, Transport } from "./transport.ts";

export interface Upstream {
  readonly url: URL;
  readonly breaker: Breaker;
  readonly limits: Limits;
}

export interface AskingParts {
  readonly upstreams: readonly Upstream[];
  readonly transport: Transport;
  readonly asker: Asker;
  /** Under what name the budget of who is asked for is kept: nothing that tells a credential. */
  readonly payer: (ctx: Context) => string;
  /** That dates which upstream says are held against. */
  readonly clock: Clock;
  /** What tokens are to be for, where upstream does not say; `pull` unless told. */
  readonly actions?: "pull" | "pull,push";
}

export interface Question {
  readonly method: Sent["method"];
  readonly kind: Kind;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What a token for it is to be for, where upstream does not say; by default the repository that it is about. */
  readonly scope?: string;
  /** Made anew each time that it is sent. */
  readonly body?: () => Promise<Readable | Buffer>;
  /** The statuses that are a success, where they are not those of a read. */
  readonly expects?: readonly number[];
  /** The code for a 404. */
  readonly unknown: ErrorCode;
}

/** Throws what the last of them said, when none could be asked or answer. */
export const askInTurn = async (parts: AskingParts, question: Question, ctx: Context): Promise<Received> => {
  const key = `${question.method} ${question.path}`;
  return inTurn(parts.upstreams, key, ctx.signal, async (upstream) => {
    const answer = await askOne(parts, upstream, question, ctx);
    const encoding = answer.header("content-encoding");
    if (encoding !== undefined && encoding !== "identity")
      throw invalid(answer, `it is encoded as ${encoding}, which nobody asked for`);
    return answer;
  });
};

/** `key` names the question: what has just failed is not asked again at once. */
const inTurn = async <T>(
  upstreams: readonly Upstream[],
  key: string,
  signal: AbortSignal,
  ask: (upstream: Upstream) => Promise<T>,
): Promise<T> => {
  const up = upstreams.filter(({ breaker }) => breaker.up);
  // all of them at once, so that nobody waits for one after the other
  if (up.length === 0) for (const { breaker } of upstreams) breaker.look();
  return firstOf(up.length === 0 ? upstreams : up, async (upstream) => {
    const leave = await upstream.breaker.enter(key, signal);
    try {
      return await ask(upstream);
    } finally {
      leave();
    }
  });
};

/** What the first of them says that can be asked and answers; else throws what kept the last from it. */
export const firstOf = async <T>(upstreams: readonly Upstream[], ask: (upstream: Upstream) => Promise<T>): Promise<T> => {
  let failure: unknown;
  for (const upstream of upstreams) {
    try {
      return await ask(upstream);
    } catch (error) {
      if (!isOciError(error) || !error.isOutage) throw error;
      // that others wait here for one of them is not to pass for its being away
      if (!isOciError(failure) || failure.code !== "UNAVAILABLE") failure = error;
    }
  }
  throw failure;
};

/** Throws what this one says. */
export const askOne = async (
  parts: AskingParts,
  { url: origin, limits }: Upstream,
  question: Question,
  ctx: Context,
): Promise<Received> => {
  const { transport, asker, clock } = parts;
  const { method, kind, path, headers, unknown, body, expects, scope = scopeOf(parts, path) } = question;
  // who pushes takes nothing from those who pull
  const isLeftToClients = ctx.client === "" && parts.actions !== "pull,push";
  const account = await limits.enter(parts.payer(ctx), isLeftToClients, ctx.signal);
  const url = new URL(path, origin);
  const weight = method === "GET" && kind === "question" ? "full" : "light";
  try {
    const answer = await asker(
      async (authorization) => {
        const received = await transport.send({
          method,
          url,
          kind,
          body: await body?.(),
          headers: { accept: "*/*", ...headers, ...(authorization === undefined ? {} : { authorization }) },
          signal: ctx.signal,
          client: ctx.client,
          tally: ctx.tally,
          check: () => account.check(),
        });
        // where a blob is redirected to there are other budgets
        if (received.url.origin === url.origin) account.heard(received, weight, clock);
        return received;
      },
      origin,
      ctx,
      scope,
    );
    const isPart = answer.status === 206 && headers?.["range"] !== undefined;
    if (expects === undefined ? answer.status === 200 || isPart : expects.includes(answer.status)) return answer;
    const refusal = await refusalOf(answer, unknown, origin, clock);
    if (answer.status === 429 && answer.url.origin === url.origin && refusal.upstream !== undefined)
      account.said(refusal.upstream);
    throw refusal;
  } catch (error) {
    if (error instanceof TokensThrottled) account.throttled(error.retryAfterMs);
    throw error;
  } finally {
    account.end();
  }
};

const scopeOf = ({ actions = "pull" }: AskingParts, path: string): string | undefined => {
  const repository = repositoryIn(path);
  return repository === undefined ? undefined : `repository:${repository}:${actions}`;
};
