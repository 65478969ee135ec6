// Lists of names that come in pages: tags, repositories. Upstream says where the next page is, and need not be believed for ever.
import { isOciError, OciError } from "../oci/error.ts";
import { parseObject } from "../oci/json.ts";
import type { Listing } from "../oci/registry.ts";

/** More than any repository has. */
const MAX_NAMES = 1_000_000;
const MAX_PAGES = 50_000;
/** No tag and no repository has more (distribution-spec): what is longer is no name, and is not remembered. */
const MAX_NAME = 255;
/** Pages in a row that bring no name that was not there before. */
const MAX_BARREN = 3;
/** What registries take without complaint (distribution-spec, "Listing tags"). */
const PAGE = 1_000;

/** Of the first page `n` alone; of the others also what their link says, and all of it as it stands there in `page`. */
export interface NamePage {
  readonly n?: number;
  readonly last?: string;
  readonly page?: string;
}

/** Each once, in upstream's order. Throws what `ask` throws, and UPSTREAM_INVALID for a list that does not end. */
export const everyName = async (
  field: "tags" | "repositories",
  ask: (page: NamePage) => Promise<Listing>,
): Promise<ReadonlySet<string>> => {
  const names = new Set<string>();
  const links = new Set<string>();
  let barren = 0;
  let listing = await firstPage(ask);
  for (;;) {
    const before = names.size;
    for (const name of namesIn(listing, field)) names.add(name);
    barren = names.size === before ? barren + 1 : 0;
    const { next } = listing.metadata;
    if (next === undefined) return names;
    if (links.has(next) || barren >= MAX_BARREN || links.size >= MAX_PAGES || names.size > MAX_NAMES)
      throw new OciError(
        "UPSTREAM_INVALID",
        `its list of ${field} does not end: ${names.size} of them in ${links.size + 1} pages`,
      );
    links.add(next);
    listing = await ask(pageOf(next));
  }
};

/** Some take no `n` at all, or none so large. */
const firstPage = (ask: (page: NamePage) => Promise<Listing>): Promise<Listing> =>
  ask({ n: PAGE }).catch((error: unknown) => {
    if (isOciError(error) && error.status === 400) return ask({});
    throw error;
  });

const pageOf = (next: string): NamePage => {
  const page = next.slice(next.indexOf("?") + 1);
  const query = new URLSearchParams(page);
  const [n, last] = [Number(query.get("n") ?? Number.NaN), query.get("last")];
  return { page, ...(Number.isSafeInteger(n) && n > 0 && { n }), ...(last !== null && { last }) };
};

const namesIn = ({ bytes }: Listing, field: string): string[] => {
  const names = parseObject(bytes)?.[field];
  return Array.isArray(names) ? names.filter((name): name is string => typeof name === "string" && name.length <= MAX_NAME) : [];
};
