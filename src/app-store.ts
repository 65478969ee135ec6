// What can be asked of the stores, whether a server runs on them or not.

import type { Collected, Removed } from "./admin/answers.ts";
import { listCache } from "./admin/cache-list.ts";
import { showImage } from "./admin/cache-show.ts";
import { AdminError } from "./admin/error.ts";
import { exportPlan } from "./admin/export-plan.ts";
import { refuseHeld } from "./admin/held-tags.ts";
import { importOperations } from "./admin/import-into.ts";
import { letGoKept } from "./admin/kept-images.ts";
import type { Call, CollectInput, Operations } from "./admin/operations.ts";
import { parseImage, written } from "./admin/references.ts";
import { tagOperations } from "./admin/tags.ts";
import type { TagOperations } from "./admin/tags-operations.ts";
import type { Logger } from "./lib/log.ts";
import type { Mirrored } from "./mirrors.ts";
import type { Sites } from "./sites.ts";
import { type CollectOptions, collect } from "./store/collect.ts";
import { forget } from "./store/forget.ts";
import type { Kept } from "./store/kept.ts";
import { verifyBlobs } from "./store/verify.ts";

export interface StoreParts {
  readonly sites: Sites;
  readonly kept: Kept;
  readonly log: Logger;
  readonly mirrored: Mirrored;
}

type StoreOperations = TagOperations &
  Pick<
    Operations,
    ("list" | "show" | "remove" | "verify" | "collect") | ("exportPlan" | "importCheck" | "importManifest" | "importTag")
  >;

export const storeOperations = (parts: StoreParts): StoreOperations => {
  const { sites, kept, log, mirrored } = parts;
  const { facts, disk, blobs, clock } = kept;
  return {
    list: (input) => listCache({ sites, facts }, input),
    // the disk itself: to look at something is no use of it
    show: ({ reference }) => showImage({ sites, facts, blobs: disk }, reference),
    remove: ({ reference }, call) => remove(parts, reference, call),
    verify: (_, { progress, signal }) => verifyBlobs(kept, progress, signal),
    collect: (input, call) => collectAll(parts, input, call),
    exportPlan: (input) => exportPlan({ sites, facts, blobs: disk }, input),
    ...importOperations({ sites, facts, blobs, clock }),
    ...tagOperations({ sites, facts, blobs: disk, clock, log, mirrored }),
  };
};

const remove = async ({ sites, kept, mirrored }: StoreParts, text: string, { progress, signal }: Call): Promise<Removed> => {
  const { site, repo, tag, digest } = parseImage(text, sites);
  if (site.kind === "local") throw new AdminError("INVALID", ONLY_HERE);
  const reference = digest ?? tag;
  const name = written(site.host, repo, reference);
  const forgotten = { site: site.host, repo, reference };
  await refuseHeld(kept.facts, forgotten);
  await letGoKept(kept.facts, mirrored, forgotten);
  const report = await forget(kept, forgotten, progress, signal);
  if (report.tagCount + report.links === 0) throw new AdminError("NOT_HELD", `nothing is known of ${name}`);
  return { reference: name, ...report };
};

/** What is forgotten of a mirror comes again; what is hosted would be lost. */
const ONLY_HERE =
  "this site is hosted here: what it holds is nowhere else, and is deleted as from any registry (`skopeo delete`, `crane delete`, `regctl tag delete`)";

const collectAll = async (
  { sites, kept }: StoreParts,
  { dryRun }: CollectInput,
  { progress, signal }: Call,
): Promise<Collected> => {
  const { isDry, ...went } = await collect(kept, { ...collecting(sites), isDry: dryRun === true }, progress, signal);
  return { dryRun: isDry, ...went };
};

/** What could still be served to somebody in an outage stays; of a site that is always offline, for ever. */
export const collecting = ({ all: named, wildcards }: Sites): Pick<CollectOptions, "listingsFor" | "grantsFor"> => {
  const all = [...named, ...wildcards];
  const longest = (times: readonly number[]) => Math.max(...times, 0);
  const stale = all.flatMap(({ policy, rules }) => [policy, ...rules].map(({ staleIfError = 0 }) => staleIfError));
  return {
    listingsFor: all.some(({ offline }) => offline) ? Number.MAX_SAFE_INTEGER : longest(stale),
    grantsFor: longest(all.map(({ staleAccess }) => staleAccess)),
  };
};
