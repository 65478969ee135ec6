// What an entry comes to: its repositories, their tags, and for each of these what upstream says against what is there. Changes nothing but
// since when upstream has been seen to say so.
import { eachOf } from "../lib/at-once.ts";
import { copyOf } from "../mirrors/covers.ts";
import { namedRepos, namedTags, selectRepos, selectsTag, selectTags } from "../mirrors/select.ts";
import { isOciError, OciError } from "../oci/error.ts";
import { isRepository, isTag, type Repository, type Tag } from "../oci/reference.ts";
import type { Context } from "../oci/registry.ts";
import { failureOf } from "../registry/warm.ts";
import type { TagKey } from "../store/facts.ts";
import { keptTagsIn } from "../store/mirroring.ts";
import { findTag, found } from "./find.ts";
import { everyName } from "./names.ts";
import type { EntryPlan, FailedPart } from "./outcome.ts";
import { type Found, type Place, type Run, written } from "./run.ts";
import { digestTagsIn } from "./signatures.ts";

/** Questions about tags at once. */
const AT_ONCE = 4;

export interface Plan {
  readonly found: readonly Found[];
  readonly failures: readonly FailedPart[];
  /** Tags that newer ones have taken the place of: what is kept for them need not be any more. */
  readonly outrun: readonly TagKey[];
}

interface Findings {
  readonly found: Found[];
  readonly failures: FailedPart[];
  readonly outrun: TagKey[];
}

/** What a tag list tells. */
interface Tags {
  readonly selected: readonly Tag[];
  /** `undefined`: not listed. */
  readonly names: ReadonlySet<string> | undefined;
}

/** Throws the signal's reason alone. `missingOnly`: what is there already is not asked about, nor in the plan. */
export const planOf = async (run: Run, missingOnly: boolean): Promise<Plan> => {
  const findings: Findings = { found: [], failures: [], outrun: [] };
  const ctx = run.context();
  run.telling.begin("listing");
  const places: Place[] = [];
  await noting(run, findings, run.entry.source.repo, async () => {
    for (const repo of await repositories(run, ctx)) {
      await noting(run, findings, repo, async () => {
        places.push(...(await placesIn(run, repo, findings, ctx)));
      });
    }
  });
  run.telling.begin("asking", places.length);
  await eachOf(places, AT_ONCE, async (place) => {
    await noting(run, findings, written({ ...place, site: run.entry.source.site }), async () => {
      const now = await run.target.tag(place.target.repo, place.target.tag, ctx);
      if (missingOnly && now !== undefined) return;
      findings.found.push(await findTag(run, place, now, ctx));
    });
    run.telling.done();
  });
  run.telling.spent(ctx.tally);
  const order = new Map(places.map((place, i) => [place, i]));
  const placeOf = ({ place }: Found) => order.get(place) ?? places.length;
  findings.found.sort((a, b) => placeOf(a) - placeOf(b));
  return findings;
};

export const asJson = (run: Run, { found: all, failures }: Plan): EntryPlan => ({
  entry: run.entry.name,
  tags: all.map(({ planned }) => planned),
  failures,
});

const noting = async (run: Run, { failures }: Findings, reference: string, work: () => Promise<void>): Promise<void> => {
  run.signal.throwIfAborted();
  try {
    await work();
  } catch (error) {
    run.signal.throwIfAborted();
    failures.push(failureOf(reference, error));
  }
};

const repositories = async ({ entry, source, only }: Run, ctx: Context): Promise<Repository[]> => {
  const isAsked = (repo: string): repo is Repository => isRepository(repo) && (only === undefined || only.repository === repo);
  const named = namedRepos(entry) ?? (only === undefined ? undefined : selectRepos(entry, [only.repository]));
  if (named !== undefined) return named.filter(isAsked);
  const { listRepositories } = source;
  if (listRepositories === undefined)
    throw new OciError("UNSUPPORTED", `${entry.source.site} gives no list of its repositories: name them one by one`);
  const names = await everyName("repositories", ({ n, last }) =>
    listRepositories({ ...(n !== undefined && { n }), ...(last !== undefined && { last }) }, ctx),
  );
  return selectRepos(entry, names).filter(isAsked);
};

const placesIn = async (run: Run, repo: Repository, findings: Findings, ctx: Context): Promise<Place[]> => {
  const { selected, names } = await tagsIn(run, repo, ctx);
  const digestTags = digestTagsIn(names ?? []);
  const placeOf = (tag: Tag): Place => ({ repo, tag, target: targetOf(run, repo, tag), digestTags, names });
  if (names !== undefined && run.only === undefined) await lookBehind(run, repo, { selected, names }, placeOf, findings);
  return selected.map(placeOf);
};

const targetOf = ({ entry }: Run, repo: Repository, tag: Tag): TagKey => {
  const copy = copyOf(entry, repo, tag);
  if (!isRepository(copy.repo) || !isTag(copy.tag))
    throw new OciError("NAME_INVALID", `no name for a copy: ${copy.repo}:${copy.tag}`);
  return { site: copy.site, repo: copy.repo, tag: copy.tag };
};

/** Tags that are named are asked for by their names; the list then only tells of what belongs to them. */
const tagsIn = async ({ entry, source, only }: Run, repo: Repository, ctx: Context): Promise<Tags> => {
  const named = namedTags(entry.tags);
  const list = () => everyName("tags", (page) => source.upstream.listTags({ repo, ...page }, ctx));
  const names = named === undefined ? await list() : entry.digestTags ? await list().catch(unlessRefused) : undefined;
  const selected = selectTags(entry.tags, named ?? names ?? []).filter(isTag);
  return { names, selected: only?.tag === undefined ? selected : selected.filter((tag) => tag === only.tag) };
};

/** Not everybody who may pull may list. */
const unlessRefused = (error: unknown): undefined => {
  if (!isOciError(error) || error.isOutage) throw error;
};

/** What is kept for tags that upstream has no more, or that newer ones have taken the place of. */
const lookBehind = async (
  run: Run,
  repo: Repository,
  { selected, names }: { readonly selected: readonly Tag[]; readonly names: ReadonlySet<string> },
  placeOf: (tag: Tag) => Place,
  findings: Findings,
): Promise<void> => {
  const { entry, target, parts } = run;
  if (target.isElsewhere === true || entry.targetTag !== undefined) return;
  const isSelected = new Set<string>(selected);
  const selects = selectsTag(entry.tags);
  const { site, repo: at } = targetOf(run, repo, "latest" as Tag);
  for await (const key of keptTagsIn(parts.facts.mirroring, site, at)) {
    if (isSelected.has(key.tag) || !selects(key.tag)) continue;
    if (names.has(key.tag)) findings.outrun.push(key);
    else if (namedTags(entry.tags) === undefined) await noteGone(run, placeOf(key.tag), findings);
  }
};

const noteGone = async (run: Run, place: Place, { found: all }: Findings): Promise<void> => {
  const now = await run.target.tag(place.target.repo, place.target.tag, run.context());
  if (now !== undefined) all.push(found(run, place, now, undefined, { change: "gone" }));
};
