// An engine over one site put together with real stores and a fault upstream on a real socket, and whatever it told its listeners.

import { silent } from "../../src/lib/log.ts";
import { type EngineParts, type MirrorSource, mirrorEngine, type SyncCall } from "../../src/mirror/engine.ts";
import type { SyncedTag } from "../../src/mirror/outcome.ts";
import type { Target } from "../../src/mirror/target.ts";
import type { MirrorEntry } from "../../src/mirrors.ts";
import { digestOf } from "../../src/oci/digest.ts";
import type { Repository, Tag } from "../../src/oci/reference.ts";
import type { Flights } from "../../src/registry/flights.ts";
import { asClient } from "../../src/upstream/asker.ts";
import { type FaultOptions, type FaultUpstream, faultUpstream } from "../faults/upstream.ts";
import { stack } from "../registry/stack.ts";
import { SCALED } from "../registry/wired.ts";
import { type Keeping, keeping } from "../store/keeping.ts";
import { registryAt, transportFor } from "../upstream/asking.ts";
import { entryOf, REPO, SITE } from "./entry.ts";

export interface MirroredOptions {
  readonly kept?: Keeping;
  readonly faults?: FaultOptions;
  /** One that another world has used. */
  readonly upstream?: FaultUpstream;
  readonly parts?: Partial<EngineParts>;
  readonly listRepositories?: NonNullable<MirrorSource["listRepositories"]>;
  /** Of another target than the site itself. */
  readonly targetOf?: (parts: Pick<EngineParts, "clock"> & { readonly flights: Flights }) => Target;
}

export const mirrored = async ({
  kept,
  faults = {},
  upstream: given,
  parts = {},
  listRepositories,
  targetOf,
}: MirroredOptions = {}) => {
  const store = kept ?? (await keeping());
  const upstream = given ?? (await faultUpstream(faults));
  const straight = registryAt(upstream.url, asClient, transportFor({ idle: 5_000 }));
  const made = stack({}, store.blobs, SCALED, straight, store.facts);
  const told: { readonly changed: SyncedTag[]; readonly failed: SyncedTag[] } = { changed: [], failed: [] };
  const engine = mirrorEngine({
    sourceOf: () => ({ upstream: straight, cache: made.registry, listRepositories }),
    targetOf: () => {
      if (targetOf === undefined) throw new Error("there is no other target");
      return targetOf(made);
    },
    blobs: store.blobs,
    flights: made.flights,
    facts: store.facts,
    events: {
      changed: (tag) => void told.changed.push(tag),
      failed: (tag) => void told.failed.push(tag),
      ended: () => undefined,
    },
    hook: async () => ({ ok: true, output: "" }),
    isPinned: () => false,
    clock: made.clock,
    log: silent,
    ...parts,
  });
  const call = (more: Partial<SyncCall> = {}): SyncCall => ({
    signal: new AbortController().signal,
    progress: () => undefined,
    ...more,
  });
  const keyOf = (tag: string, repo: Repository = REPO) => ({ site: SITE, repo, tag: tag as Tag });
  return {
    ...made,
    store,
    upstream,
    engine,
    told,
    keyOf,
    sync: (entry: MirrorEntry = entryOf(), more?: Partial<SyncCall>) => engine.sync(entry, call(more)),
    check: (entry: MirrorEntry = entryOf(), more?: Partial<SyncCall>) => engine.check(entry, call(more)),
    tagOf: async (tag: string) => (await store.facts.tag(keyOf(tag)))?.digest,
    /** Held, and what its digest says. */
    holdsAll: async (digests: readonly string[]) => {
      for (const digest of digests) {
        const bytes = await store.blobs.readAll(digest as never, 1e8);
        if (bytes === undefined || digestOf(bytes) !== digest) return false;
      }
      return true;
    },
  };
};

export const outcomes = (tags: readonly SyncedTag[]): string[] =>
  tags.map(({ source, change, outcome }) => `${source.tag} ${change} ${outcome}`);
