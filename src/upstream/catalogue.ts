// The list of a registry's repositories (`GET /v2/_catalog`), where it gives one: it takes a token of its own, and the large public registries
// give none to anybody.
import { isOciError, OciError } from "../oci/error.ts";
import type { CatalogQuery } from "../oci/hosted.ts";
import type { Context, Listing } from "../oci/registry.ts";
import { requestPath } from "../oci/request.ts";
import { readListing } from "./listings.ts";
import { type AskingParts, askInTurn } from "./turn.ts";

export type Catalogue = (query: CatalogQuery, ctx: Context) => Promise<Listing>;

const SCOPE = "registry:catalog:*";

/** Throws OciError; UNSUPPORTED where the registry has no such list, or none for whom it is asked. */
export const catalogueOf =
  (parts: AskingParts): Catalogue =>
  async (query, ctx) => {
    const path = requestPath({ kind: "catalog", ...query });
    try {
      const question = { method: "GET", kind: "question", path, scope: SCOPE, unknown: "UNSUPPORTED" } as const;
      return await readListing(await askInTurn(parts, question, ctx), path, ctx);
    } catch (error) {
      throw isOciError(error) && isNo(error) ? noList(parts, error) : error;
    }
  };

/** 401, 403, 404, 405, and what else is no outage. */
const isNo = (error: OciError): boolean => error.isRefusal || error.isUnknown || error.code === "UNSUPPORTED";

const noList = ({ upstreams }: AskingParts, cause: OciError): OciError =>
  new OciError(
    "UNSUPPORTED",
    `${upstreams[0]!.url.host} gives no list of its repositories (${cause.message}): name the repositories one by one`,
    { cause },
  );
