// Answers that are lists: tags and referrers, read whole and given on as they are, with the way to their next page.
import { parseObject } from "../oci/json.ts";
import { type Context, type Listing, MAX_MANIFEST } from "../oci/registry.ts";
import { invalid, MISS, metadataOf, typeOf } from "./answer.ts";
import { readBounded } from "./body.ts";
import type { Received } from "./transport.ts";

export const readListing = async (answer: Received, path: string, ctx: Context): Promise<Listing> => {
  const mediaType = typeOf(answer) || "application/json";
  const bytes = await readBounded(answer.body, MAX_MANIFEST);
  ctx.tally.upstreamBytes += bytes.length;
  if (parseObject(bytes) === undefined) throw invalid(answer, "what should be a list is no JSON object");
  const filtersApplied = answer.header("oci-filters-applied");
  const next = nextPage(answer.headers("link"), new URL(path, answer.url.origin));
  const metadata = {
    ...metadataOf(answer),
    ...(next === undefined ? {} : { next }),
    ...(filtersApplied === undefined ? {} : { filtersApplied }),
  };
  return { mediaType, bytes, provenance: MISS, metadata };
};

/** `[^<>]` and `[^,<]` keep it linear: a header of a thousand `<` is upstream's to send (RFC 8288 §3). */
const NEXT = /<([^<>]+)>\s*;[^,<]*\brel="?next(?![\w-])/i;

/** `Link: <…>; rel="next"` as path and query; one that leads to another host, or would once a client resolves it, is no page of this site. */
export const nextPage = (links: readonly string[], base: URL): string | undefined => {
  const [, target] = NEXT.exec(links.join(", ")) ?? [];
  const url = target === undefined ? null : URL.parse(target, base.href);
  if (url === null || !/^https?:$/.test(url.protocol) || url.host !== base.host || url.pathname.startsWith("//"))
    return undefined;
  return `${url.pathname}${url.search}`;
};
