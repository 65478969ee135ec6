// Answers that are lists: tags and referrers, read whole and given on as they are, with the way to their next page.
import { type Context, type Listing, MAX_MANIFEST } from "../oci/registry.ts";
import { invalid, MISS, metadataOf, parseObject, typeOf } from "./answer.ts";
import { readBounded } from "./body.ts";
import type { Received } from "./transport.ts";

export const readListing = async (answer: Received, path: string, ctx: Context): Promise<Listing> => {
  const mediaType = typeOf(answer) || "application/json";
  const bytes = await readBounded(answer.body, MAX_MANIFEST);
  ctx.tally.upstreamBytes += bytes.length;
  if (parseObject(bytes) === undefined) throw invalid(answer, "what should be a list is no JSON object");
  const filtersApplied = answer.header("oci-filters-applied");
  const next = nextPage(answer, path);
  const metadata = {
    ...metadataOf(answer),
    ...(next === undefined ? {} : { next }),
    ...(filtersApplied === undefined ? {} : { filtersApplied }),
  };
  return { mediaType, bytes, provenance: MISS, metadata };
};

/** `Link: <…>; rel="next"` as path and query; one that leads to another origin is no page of this site. */
const nextPage = (answer: Received, path: string): string | undefined => {
  const [, target] = /<([^>]+)>\s*;[^,]*\brel="?next"?/i.exec(answer.headers("link").join(", ")) ?? [];
  const base = new URL(path, answer.url.origin);
  if (target === undefined || !URL.canParse(target, base.href)) return undefined;
  const url = new URL(target, base);
  return url.host === base.host ? `${url.pathname}${url.search}` : undefined;
};
