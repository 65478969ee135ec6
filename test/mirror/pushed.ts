// An engine that copies from one site to another registry, both put together as the app does, in front of whatever is there by their addresses.
import { silent } from "../../src/lib/log.ts";
import { type EngineParts, mirrorEngine, type SyncCall } from "../../src/mirror/engine.ts";
import { LiveMirrors } from "../../src/mirrors/live.ts";
import type { MirrorEntry } from "../../src/mirrors.ts";
import type { FaultUpstream } from "../faults/upstream.ts";
import { SITE, siteDoor } from "../http/site-door.ts";
import { entryOf } from "./entry.ts";

export const OTHER = "other.test";
export const FROM = "team/app";
export const TO = "copies/app";

export const pushedEntry = (changes: Partial<MirrorEntry> = {}): MirrorEntry =>
  entryOf({ source: { site: SITE, repo: FROM }, target: { site: OTHER, repo: TO }, ...changes });

export const pushed = async (upstream: FaultUpstream, other: string, entry: MirrorEntry, parts: Partial<EngineParts> = {}) => {
  const door = await siteDoor(upstream, {}, { [OTHER]: { upstream: other } }, { mirrored: new LiveMirrors([entry]) });
  const engine = mirrorEngine({
    sourceOf: (host) => door.doors.sourceOf(door.siteOf(host)),
    targetOf: (host) => door.doors.targetOf(door.siteOf(host)),
    ...{ blobs: door.blobs, flights: door.flights, facts: door.facts },
    events: { changed: () => undefined, failed: () => undefined, ended: () => undefined },
    hook: async () => ({ ok: true, output: "" }),
    isPinned: () => false,
    clock: Date.now,
    log: silent,
    ...parts,
  });
  const sync = (more: Partial<SyncCall> = {}) =>
    engine.sync(entry, { signal: new AbortController().signal, progress: () => undefined, ...more });
  return { ...door, sync };
};
