// Entries such as `*.pkg.dev`, each for every host below a suffix: what they may be, and what is taken out of them.
import { HostTable, isWildcardName, suffixOf } from "../lib/host-table.ts";
import type { Site } from "../sites.ts";
import type { MergedSite } from "./builtin.ts";
import type { Problem } from "./problems.ts";

/** What is wrong with them. */
export const wildcardProblems = async (wildcards: readonly MergedSite[]): Promise<Problem[]> =>
  (await Promise.all(wildcards.map(problemsOf))).flat();

const problemsOf = async (merged: MergedSite): Promise<Problem[]> => [
  ...((await isEverybodys(suffixOf(merged.host)))
    ? [{ path: merged.at(), text: "a suffix that anybody can have a name below" }]
    : []),
  ...(merged.settings.kind === "local"
    ? [{ path: merged.at("kind"), text: "a hosted site has a name of its own: each is an entry of its own" }]
    : []),
  ...(merged.settings.aliases === undefined
    ? []
    : [{ path: merged.at("aliases"), text: "of one host only: a site of its own has them" }]),
];

/** By the public suffix list, without what is some company's: who names azurewebsites.net means it. */
const isEverybodys = async (suffix: string): Promise<boolean> => {
  // 10 MB that most never need
  const { parse } = await import("tldts");
  const { publicSuffix, isIcann } = parse(suffix, { allowPrivateDomains: false, extractHostname: false });
  return isIcann === true && publicSuffix === suffix;
};

/** Of `names`, which have another meaning, those that a wildcard would stand for. */
export const namesBelow = (wildcards: readonly Pick<Site, "host">[], names: readonly string[]): string[] => {
  const below = new HostTable(wildcards.map((site) => [site.host, site]));
  return names.filter((name) => below.find(isWildcardName(name) ? `any.${suffixOf(name)}` : name) !== undefined);
};

/** What is allowed, and maybe not meant. */
export const oddWildcards = (wildcards: readonly Site[]): string[] =>
  wildcards.flatMap(({ host, access, credentials }) =>
    access === "shared" && credentials !== undefined && credentials.helper === undefined
      ? [`sites.${host}.credentials: go to every host below ${suffixOf(host)} that a client asks for`]
      : [],
  );
