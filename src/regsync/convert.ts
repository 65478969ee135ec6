// A whole regsync.yml as what stands under `mirror` and `sites`. What comes out is what the configuration's own reader takes.
import { entriesOf } from "../config/mirror.ts";
import { mirror } from "../config/mirror-schema.ts";
import { ConfigError, type KeyPath, type Problem, problemsOf } from "../config/problems.ts";
import { type Site, type Sites, siteTable } from "../sites.ts";
import { isPlain, takeCreds } from "./creds.ts";
import { type Step, type StepContext, stepsOf } from "./entries.ts";
import { type Host, hostsIn } from "./hosts.ts";
import { type Part, readRegsync } from "./reading.ts";
import { sharedOf, type Written } from "./shared.ts";

export interface Converted {
  readonly mirror: { readonly defaults?: Written; readonly entries: readonly Written[] };
  readonly sites: Readonly<Record<string, unknown>>;
  /** Line by line, what is not as it was: `regsync.yml:12:5 sync.1.hooks: …`. */
  readonly notes: readonly string[];
  readonly stepCount: number;
  /** Of those, what is not in `entries`. */
  readonly lostCount: number;
}

export interface Conversion extends Omit<StepContext, "hosts"> {
  /** Those that there are. */
  readonly sites: Sites;
}

/** Throws ConfigError for what is no regsync.yml. */
export const convertRegsync = (name: string, text: string, { sites, ...how }: Conversion): Converted => {
  const { root, notes, where, offset } = readRegsync(name, text);
  const version = root.text("version") ?? "1";
  if (version !== "1") throw new ConfigError([`${where(["version"])} version: expected 1, found ${JSON.stringify(version)}`]);
  if (!root.has("sync")) throw new ConfigError([`${name}: no regsync configuration: it has no \`sync\``]);
  const creds = root.parts("creds");
  const plain = new Set(creds.filter(isPlain).map((part) => part.text("registry")));
  const hosts = hostsIn(sites, (registry) => plain.has(registry));
  for (const part of creds) takeCreds(part, hosts);
  const given = root.part("defaults");
  const defaults = defaultsOf(given);
  const parts = root.parts("sync");
  const steps = parts.flatMap((part) => stepsOf(part, { hosts, ...how }));
  const added = hosts.all().filter(isUsedBy(steps));
  const kept = accepted(named(steps), defaults, withHosts(sites, added));
  const asked = creds.filter((part) => part.text("registry") !== undefined);
  tellUnread(root, [...asked, ...(given === undefined ? [] : [given]), ...parts]);
  const inOrder = notes.toSorted((a, b) => offset(a.path) - offset(b.path));
  return {
    mirror: { ...(Object.keys(defaults).length > 0 && { defaults }), entries: kept.map(({ entry }) => entry) },
    sites: Object.fromEntries(added.map(({ name, site, settings }) => [site?.host ?? name, settings])),
    notes: [...new Set(inOrder.map(({ path, text }) => lineOf(where(path), path, text)))],
    stepCount: parts.length,
    lostCount: parts.filter((part) => !kept.some((step) => step.part === part)).length,
  };
};

/** What is only logged in to, and never copied from or to, needs no new site. */
const isUsedBy =
  (steps: readonly Step[]) =>
  ({ name, site }: Host): boolean =>
    site !== undefined ||
    steps.some(({ entry: { source, target } }) =>
      [source, target].some((place) => place === name || (typeof place === "string" && place.startsWith(`${name}/`))),
    );

const lineOf = (place: string, path: KeyPath, text: string): string =>
  `${[place, path.join(".")].filter((one) => one !== "").join(" ")}: ${text}`;

const GENERAL: Record<string, string> = {
  blobLimit: "`concurrency` of a site bounds its requests",
  cacheCount: "is not needed",
  cacheTime: "is not needed",
  userAgent: "Layover says its own name",
  skipDockerConfig: "Docker's logins are never read: a site has `credentials`, of which `helper` may be one",
};

const defaultsOf = (given: Part | undefined): Written => {
  const shared = given === undefined ? {} : sharedOf(given);
  const parallel = given?.number("parallel") ?? 1;
  for (const [key, why] of Object.entries(GENERAL))
    if (given?.text(key) !== undefined) given.note(key, `not carried over: ${why}`);
  // regsync leaves both out unless told otherwise
  return { referrers: false, digestTags: false, ...shared, parallel: Math.min(Math.max(Math.floor(parallel), 1), 100) };
};

/** Each has a name of its own; by itself that is its source. */
const named = (steps: readonly Step[]): Step[] => {
  const counts = new Map<string, number>();
  return steps.map((step) => {
    const count = (counts.get(step.entry.source) ?? 0) + 1;
    counts.set(step.entry.source, count);
    const { source, ...rest } = step.entry;
    return count === 1 ? step : { part: step.part, entry: { name: `${source}#${count}`, source, ...rest } };
  });
};

/** What the configuration would refuse is told of and left out, until nothing is refused. */
const accepted = (steps: readonly Step[], defaults: Written, sites: Sites): readonly Step[] => {
  const problems: Problem[] = [];
  const tree = { defaults, entries: steps.map(({ entry }) => entry) };
  const parsed = mirror.safeParse(tree);
  if (parsed.success) entriesOf(parsed.data, sites, [], (problem) => void problems.push(problem));
  else problems.push(...problemsOf(parsed.error.issues, tree));
  const refused = new Map(problems.filter(({ path }) => path[0] === "entries").map(({ path, text }) => [Number(path[1]), text]));
  for (const [index, text] of refused) steps[index]!.part.note("", `not carried over: ${text}`);
  if (refused.size > 0)
    return accepted(
      steps.filter((_, i) => !refused.has(i)),
      defaults,
      sites,
    );
  if (problems.length > 0) throw new Error(problems.map(({ path, text }) => `${path.join(".")}: ${text}`).join("\n"));
  return steps;
};

/** As if the new ones stood in the configuration. */
const withHosts = (sites: Sites, hosts: readonly Host[]): Sites => {
  const like = sites.all[0];
  const added = hosts.flatMap(({ name, site, settings }): Site[] => {
    if (site !== undefined || like === undefined) return [];
    const { wildcard: _, ...rest } = like;
    const upstreams = [new URL(settings.upstream ?? `https://${name}`)];
    return [{ ...rest, host: name, hijackNames: [name], lookupNames: [name], kind: "upstream", upstreams, offline: false }];
  });
  const table = siteTable([...sites.all, ...added]);
  return { ...table, byLookup: (name) => table.byLookup(name) ?? sites.byLookup(name) };
};

/** Of a step that is lost already nobody asks what it would have selected. */
const SELECTING = new Set(["tags", "tagSets", "repos"]);

/** Anchors for the rest of the file stand in keys of their own. */
const tellUnread = (root: Part, parts: readonly Part[]): void => {
  for (const part of [root, ...parts]) {
    const unknown = part.unread().filter((key) => !SELECTING.has(key) && !(part === root && key.startsWith("x-")));
    for (const key of unknown) part.note(key, "not carried over: unknown to regsync as well");
  }
};
