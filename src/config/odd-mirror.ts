// Mirrored images that are allowed and probably not meant so.
import { suffixOf } from "../lib/host-table.ts";
import { namedRepos } from "../mirrors/select.ts";
import type { MirrorConfig, MirrorEntry } from "../mirrors.ts";
import type { Site, Sites } from "../sites.ts";

/** Registries that list their repositories for nobody. */
const WITHOUT_CATALOGUE = new Set(["registry-1.docker.io", "ghcr.io", "quay.io", "public.ecr.aws"]);

export const oddEntries = ({ entries }: MirrorConfig, sites: Sites): string[] =>
  entries.flatMap((entry) => oddness(entry, sites).map((odd) => `mirror ${JSON.stringify(entry.name)}: ${odd}`));

const oddness = (entry: MirrorEntry, sites: Sites): string[] => {
  const { source, target } = entry;
  const [from, to] = [sites.byHost(source.site), target && sites.byHost(target.site)];
  const isUnlisted = WITHOUT_CATALOGUE.has(source.site) && namedRepos(entry) === undefined;
  const away = [from, to].find((site) => site?.offline === true);
  return [
    ...(isUnlisted ? [`${source.site} lists its repositories for nobody: name them under \`repos.only\``] : []),
    ...(away === undefined ? [] : [`${away.host} is \`offline\`, so every sync fails`]),
    ...(to?.kind === "upstream" && to.credentials === undefined
      ? [`is pushed to ${to.host} as anybody: it has no \`credentials\``]
      : []),
  ];
};

/** Sites that give only what is mirrored, and of which nothing is. */
export const emptySites = (sites: readonly Site[], mirror: MirrorConfig): string[] =>
  sites
    .filter(({ onMissing }) => onMissing === "refuse")
    .filter((site) => !mirror.entries.some(({ source, target }) => target === undefined && isOf(source.site, site)))
    .map(({ host }) => `sites.${host}.onMissing: no entry of \`mirror\` is about it, so whatever is not held is refused`);

/** Whether a sync reads from the site, or writes to it. */
export const isMirrored = (site: Site, { entries }: MirrorConfig): boolean =>
  entries.some(({ source, target }) => isOf(source.site, site) || (target !== undefined && isOf(target.site, site)));

const isOf = (host: string, site: Site): boolean =>
  host === site.host || (site.hijackNames.length === 0 && host.endsWith(`.${suffixOf(site.host)}`));
