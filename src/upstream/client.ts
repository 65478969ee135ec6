// A site's upstream as a Registry: questions out, values back, each checked as far as one answer can be.
import { MANIFEST_TYPES } from "../oci/media.ts";
import { formatRange } from "../oci/range.ts";
import type { Context, Manifest, ManifestQuery, Registry } from "../oci/registry.ts";
import { requestPath } from "../oci/request.ts";
import { readBlob, statOfBlob } from "./blobs.ts";
import { drop } from "./body.ts";
import { readListing } from "./listings.ts";
import { readManifest, statOfHead } from "./manifests.ts";
import { type AskingParts, askInTurn, type Question } from "./turn.ts";

export const upstreamRegistry = (parts: AskingParts): Registry => {
  const ask = (question: Question, ctx: Context) => askInTurn(parts, question, ctx);
  const manifestQuestion = (method: Question["method"], query: ManifestQuery, ctx: Context): Question => ({
    method,
    kind: "question",
    path: requestPath({ kind: "manifest", head: method === "HEAD", repo: query.repo, reference: query.reference }),
    headers: { accept: acceptFor(query, ctx) },
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
      return readBlob(await ask({ method: "GET", kind: "blob", path, headers, unknown: "BLOB_UNKNOWN" }, ctx), query, ctx);
    },
    async statBlob({ repo, digest }, ctx) {
      const path = requestPath({ kind: "blob", head: true, repo, digest });
      const answer = await ask({ method: "HEAD", kind: "question", path, unknown: "BLOB_UNKNOWN" }, ctx);
      drop(answer.body);
      return statOfBlob(answer, digest);
    },
    async listTags(query, ctx) {
      const path = requestPath({ kind: "tags", ...query });
      return readListing(await ask({ method: "GET", kind: "question", path, unknown: "NAME_UNKNOWN" }, ctx), path, ctx);
    },
    async listReferrers(query, ctx) {
      const path = requestPath({ kind: "referrers", ...query });
      return readListing(await ask({ method: "GET", kind: "question", path, unknown: "NAME_UNKNOWN" }, ctx), path, ctx);
    },
  };
};

/** All that we know, so that what is kept serves every client; then whatever else the client takes. */
const acceptFor = ({ isExact }: ManifestQuery, { accept }: Context): string =>
  isExact === true ? accept.join(", ") : [...new Set([...MANIFEST_TYPES, ...accept])].join(", ");
