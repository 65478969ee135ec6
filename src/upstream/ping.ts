// `GET /v2/` at a site's upstreams: any answer but an outage's is given as it is.
import type { Clock } from "../lib/clock.ts";
import type { Context } from "../oci/registry.ts";
import { invalid } from "./answer.ts";
import { readUpTo } from "./body.ts";
import type { Kind } from "./breaker.ts";
import { refusalOf } from "./refusal.ts";
import type { Received, Transport } from "./transport.ts";
import { type AskingParts, firstOf, type Upstream } from "./turn.ts";

const MAX_WORDS = 64 * 1024;

export interface PingAnswer {
  readonly status: number;
  readonly challenges: readonly string[];
  readonly contentType: string | undefined;
  readonly body: string;
}

/** With the client's own credential. It costs nothing of what is counted, so that only a 429 of its own keeps it back. */
export const pingUpstream = async (parts: AskingParts, ctx: Context): Promise<PingAnswer> => {
  const answering = parts.upstreams.filter(({ breaker }) => breaker.answersPings);
  return firstOf(answering.length === 0 ? parts.upstreams : answering, (upstream) => pingOne(parts, upstream, ctx));
};

const pingOne = async (
  { transport, payer, clock }: AskingParts,
  { url, limits }: Upstream,
  ctx: Context,
): Promise<PingAnswer> => {
  const account = await limits.enter(`ping ${payer(ctx)}`, false, ctx.signal);
  try {
    const answer = await send(transport, url, "ping", ctx);
    if (answer.url.origin === url.origin) account.heard(answer, "full", clock);
    return await pingAnswer(answer, url, clock);
  } finally {
    account.end();
  }
};

/** Whether anybody is there: for no client, and past all that keeps clients back. */
export const lookAt = async (url: URL, transport: Transport, clock: Clock, ctx: Context): Promise<PingAnswer> =>
  pingAnswer(await send(transport, url, "look", ctx), url, clock);

const send = (transport: Transport, url: URL, kind: Kind, { credential, signal, client, tally }: Context): Promise<Received> =>
  transport.send({
    method: "GET",
    url: new URL("/v2/", url),
    kind,
    headers: credential === undefined ? {} : { authorization: credential },
    signal,
    client,
    tally,
  });

const pingAnswer = async (answer: Received, upstream: URL, clock: Clock): Promise<PingAnswer> => {
  const { status } = answer;
  if (status >= 500 || status === 429 || (status >= 300 && status < 400))
    throw await refusalOf(answer, "UNKNOWN", upstream, clock);
  const body = (await readUpTo(answer.body, MAX_WORDS)).bytes.toString("utf8");
  const contentType = answer.header("content-type");
  // a captive portal; quay's plain "true" calls itself HTML as well
  if (status < 300 && /^text\/html\b/i.test(contentType ?? "") && /^\s*</.test(body)) throw invalid(answer, "it is an HTML page");
  return { status, challenges: answer.headers("www-authenticate"), contentType, body };
};
