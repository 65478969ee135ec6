// What can be asked of the stores when no server runs on them. The folder's lock is held meanwhile: two processes never write one store.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Verified } from "./admin/answers.ts";
import { isoOf, leftOf, putMark, readMark, takeMark } from "./admin/bypass-mark.ts";
import { type BypassSwitch, bypassOperations } from "./admin/bypass-operations.ts";
import { contentOf, type WithContent } from "./admin/content.ts";
import { AdminError } from "./admin/error.ts";
import { mirrorStatus } from "./admin/mirror-status.ts";
import type { Call, Operations } from "./admin/operations.ts";
import { referenceOf } from "./admin/references.ts";
import { explainImage } from "./admin/site-operations.ts";
import { storeOperations } from "./app-store.ts";
import type { Config } from "./config/config.ts";
import { systemClock } from "./lib/clock.ts";
import { silent } from "./lib/log.ts";
import { SetupError } from "./lib/setup-error.ts";
import { LiveMirrors } from "./mirrors/live.ts";
import type { Mirrored } from "./mirrors.ts";
import type { Reference, Repository } from "./oci/reference.ts";
import { type ExplainParts, type Explanation, explain } from "./registry/explain.ts";
import { type Grants, grants } from "./registry/grants.ts";
import { explainLocal } from "./registry/local-care.ts";
import { offlineHealth } from "./registry/offline.ts";
import { pinnedBy, policyOf } from "./registry/policy.ts";
import { clientRights, sharedRights } from "./registry/rights.ts";
import { subjectsOf } from "./registry/subjects.ts";
import type { Health } from "./registry/witness.ts";
import { type Site, siteTable } from "./sites.ts";
import { type Kept, openKept } from "./store/kept.ts";
import { verifyBlobs } from "./store/verify.ts";

export interface Alone {
  readonly operations: Operations & WithContent;
  close(): Promise<void>;
}

/** Another command is waited for, a server that is just ending too. Milliseconds. */
const LOCK_WAIT = 3_000;

/** Throws SetupError where there is no store, unless it may be a new one, StoreUnusable when a process holds it. */
export const openAlone = async (config: Config, { isNew = false } = {}): Promise<Alone> => {
  if (!isNew && !existsSync(join(config.data, "facts.sqlite")))
    throw new SetupError(`${config.data} holds nothing yet: no Layover has run with this configuration`);
  const { data: folder, maxSize } = config;
  const { entries, file } = config.mirror;
  const mirrored = new LiveMirrors(entries);
  const sites = siteTable(config.sites, config);
  const kept = await openKept({
    ...{ folder, maxSize, maxAge: undefined, lockWait: LOCK_WAIT },
    ...{ isPinned: pinnedBy(sites), clock: systemClock, log: silent },
  });
  const rights = grants(kept.facts, silent, { clock: systemClock, keepFor: Number.MAX_SAFE_INTEGER });
  return {
    operations: {
      ...storeOperations({ sites, kept, mirrored, log: silent }),
      ...bypassAlone(config),
      content: contentOf(kept.blobs),
      verify: (_, call) => verify(kept, call),
      explain: (input) =>
        explainImage(
          sites,
          (image) => explainOne(partsOf(image.site, kept, rights, mirrored), image.repo, referenceOf(image)),
          input,
        ),
      status: needsServer,
      warm: needsServer,
      refresh: needsServer,
      mirrorCheck: needsServer,
      mirrorSync: needsServer,
      mirrorStatus: () =>
        mirrorStatus({ entries, facts: kept.facts, list: file === undefined ? undefined : { file }, now: systemClock() }),
    },
    async close() {
      await rights.close();
      await kept.close();
    },
  };
};

/** For all this the folder is enough: a server that runs on it, and whose admin listener is off or does not answer, looks there. */
export const bypassAlone = ({ data, sites, wildcards }: Config) => bypassOperations([...sites, ...wildcards], markOf(data));

const markOf = (data: string): BypassSwitch => ({
  async look() {
    const mark = await readMark(data);
    const left = mark && leftOf(mark, systemClock);
    if (mark === undefined || left === 0) return undefined;
    return { since: isoOf(mark.since), ...(left !== undefined && { until: isoOf(systemClock() + left) }) };
  },
  on: async (forMs) => void (await putMark(data, forMs, systemClock)),
  off: async () => void (await takeMark(data)),
});

/** Nobody has been asked for long: an upstream is taken to be there. */
const UP: Health = { up: true, answersPings: true, late: () => undefined };

const explainOne = (parts: ExplainParts, repo: Repository, reference: Reference): Promise<Explanation> =>
  parts.site.kind === "local" ? explainLocal(parts, repo, reference) : explain(parts, repo, reference);

const partsOf = (site: Site, { disk, facts }: Kept, granted: Grants, mirrored: Mirrored): ExplainParts => ({
  site,
  policy: policyOf(site, mirrored),
  blobs: disk,
  facts,
  // only what anybody may read is looked at: the secret under which others' credentials are hashed is not needed
  rights: site.access === "shared" ? sharedRights : clientRights(site, granted, nobodyKnown(site), systemClock),
  health: site.offline ? offlineHealth : UP,
  clock: systemClock,
});

const nobodyKnown = ({ host }: Site) => subjectsOf({ site: host, secret: Buffer.alloc(0), clock: systemClock });

/** What has been put right at the opening is told with the rest: nobody else hears of it. */
const verify = async (kept: Kept, { progress, signal }: Call): Promise<Verified> => {
  await kept.reconciled;
  const { reconciled } = await kept.state();
  const report = await verifyBlobs(kept, progress, signal);
  const { added = 0, dropped = 0 } = reconciled ?? {};
  return { ...report, added: report.added + added, dropped: report.dropped + dropped };
};

const needsServer = (): Promise<never> =>
  Promise.reject(new AdminError("UNAVAILABLE", "no Layover runs here, and this needs one: `layover serve`"));
