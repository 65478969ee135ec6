// A site's upstream as a Registry: questions out, values back, each checked as far as one answer can be.
import type { Clock } from "../lib/clock.ts";
import { type ErrorCode, isOciError } from "../oci/error.ts";
import { MANIFEST_TYPES } from "../oci/media.ts";
import { formatRange } from "../oci/range.ts";
import type { Context, Manifest, ManifestQuery, Registry } from "../oci/registry.ts";
import { requestPath } from "../oci/request.ts";
import { invalid } from "./answer.ts";
import type { Asker } from "./asker.ts";
import { readBlob, statOfBlob } from "./blobs.ts";
import { drop, readUpTo } from "./body.ts";
import { readListing } from "./listings.ts";
import { readManifest, statOfHead } from "./manifests.ts";
import { refusalOf } from "./refusal.ts";
import type { Received, Transport } from "./transport.ts";

export interface UpstreamOptions {
  /** Tried in order while they cannot be reached or fail. */
  readonly upstreams: readonly URL[];
  readonly transport: Transport;
  readonly asker: Asker;
  /** That dates which upstream says are held against. */
  readonly clock: Clock;
}

interface Question {
  readonly method: "GET" | "HEAD";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The code for a 404. */
  readonly unknown: ErrorCode;
}

export const upstreamRegistry = (options: UpstreamOptions): Registry => {
  const ask = (question: Question, ctx: Context) => askInTurn(options, question, ctx);
  const manifestQuestion = (method: Question["method"], { repo, reference }: ManifestQuery, ctx: Context): Question => ({
    method,
    path: requestPath({ kind: "manifest", head: method === "HEAD", repo, reference }),
    headers: { accept: acceptFor(ctx) },
    unknown: "MANIFEST_UNKNOWN",
  });
  const getManifest = async (query: ManifestQuery, ctx: Context): Promise<Manifest> =>
    readManifest(await ask(manifestQuestion("GET", query, ctx), ctx), query.reference, ctx);
  return {
    getManifest,
    async statManifest(query, ctx) {
      const answer = await ask(manifestQuestion("HEAD", query, ctx), ctx);
      drop(answer.body);
      const stat = statOfHead(answer, query.reference);
      if (stat !== undefined) return stat;
      // ECR and some load balancers give no digest on HEAD, others no length: only the bytes tell. They go along, to be kept
      return getManifest(query, ctx);
    },
    async getBlob(query, ctx) {
      const { repo, digest, range } = query;
      const headers = range === undefined ? {} : { range: formatRange(range) };
      const path = requestPath({ kind: "blob", head: false, repo, digest });
      return readBlob(await ask({ method: "GET", path, headers, unknown: "BLOB_UNKNOWN" }, ctx), query, ctx);
    },
    async statBlob({ repo, digest }, ctx) {
      const path = requestPath({ kind: "blob", head: true, repo, digest });
      const answer = await ask({ method: "HEAD", path, unknown: "BLOB_UNKNOWN" }, ctx);
      drop(answer.body);
      return statOfBlob(answer, digest);
    },
    async listTags(query, ctx) {
      const path = requestPath({ kind: "tags", ...query });
      return readListing(await ask({ method: "GET", path, unknown: "NAME_UNKNOWN" }, ctx), path, ctx);
    },
    async listReferrers(query, ctx) {
      const path = requestPath({ kind: "referrers", ...query });
      return readListing(await ask({ method: "GET", path, unknown: "NAME_UNKNOWN" }, ctx), path, ctx);
    },
  };
};

const askInTurn = async ({ upstreams, ...asking }: UpstreamOptions, question: Question, ctx: Context): Promise<Received> => {
  let failure: unknown;
  for (const upstream of upstreams) {
    try {
      return await askOne(upstream, asking, question, ctx);
    } catch (error) {
      if (!isOciError(error) || !error.isOutage) throw error;
      failure = error;
    }
  }
  throw failure;
};

const askOne = async (
  upstream: URL,
  { transport, asker, clock }: Omit<UpstreamOptions, "upstreams">,
  question: Question,
  ctx: Context,
): Promise<Received> => {
  const { method, path, headers, unknown } = question;
  const url = new URL(path, upstream);
  const answer = await asker(
    (authorization) =>
      transport.send({
        method,
        url,
        headers: { accept: "*/*", ...headers, ...(authorization === undefined ? {} : { authorization }) },
        signal: ctx.signal,
        tally: ctx.tally,
      }),
    upstream,
    ctx,
  );
  const isPart = answer.status === 206 && headers?.["range"] !== undefined;
  if (answer.status !== 200 && !isPart) throw await refusalOf(answer, unknown, upstream, clock);
  const encoding = answer.header("content-encoding");
  if (encoding !== undefined && encoding !== "identity")
    throw invalid(answer, `it is encoded as ${encoding}, which nobody asked for`);
  return answer;
};

/** All that we know, so that what is kept serves every client; then whatever else the client takes. */
const acceptFor = ({ accept }: Context): string => [...new Set([...MANIFEST_TYPES, ...accept])].join(", ");

const MAX_WORDS = 64 * 1024;

export interface PingAnswer {
  readonly status: number;
  readonly challenges: readonly string[];
  readonly contentType: string | undefined;
  readonly body: string;
}

/** `GET /v2/` with the client's own credential. Any answer but an outage's is given as it is. */
export const pingUpstream = async ({ upstreams, transport, clock }: UpstreamOptions, ctx: Context): Promise<PingAnswer> => {
  const headers = ctx.credential === undefined ? {} : { authorization: ctx.credential };
  let failure: unknown;
  for (const upstream of upstreams) {
    try {
      const answer = await transport.send({
        method: "GET",
        url: new URL("/v2/", upstream),
        headers,
        signal: ctx.signal,
        tally: ctx.tally,
      });
      return await pingAnswer(answer, upstream, clock);
    } catch (error) {
      if (!isOciError(error) || !error.isOutage) throw error;
      failure = error;
    }
  }
  throw failure;
};

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
