// A host below a wildcard as a sync reads and writes it: its door may be closed whenever nobody uses it, so each question opens it, and keeps it open
// until the answer is over.
import { finished, type Readable } from "node:stream";
import type { MirrorSource } from "./mirror/engine.ts";
import type { Target } from "./mirror/target.ts";
import type { Registry } from "./oci/registry.ts";

/** In use until `leave`. */
export interface Entered {
  readonly door: { readonly source: MirrorSource; readonly target: Target | undefined };
  readonly leave: () => void;
}

export const sourceBelow = (enter: () => Entered): MirrorSource => ({
  upstream: through(enter, ({ upstream }) => upstream),
  cache: through(enter, ({ cache }) => cache),
  listRepositories: (query, ctx) => during(enter, ({ source }) => source.listRepositories!(query, ctx)),
});

/** Of one that can be written to. */
export const targetBelow = (enter: () => Entered): Target => ({
  isElsewhere: true,
  tag: (...about) => during(enter, ({ target }) => target!.tag(...about)),
  hasManifest: (...about) => during(enter, ({ target }) => target!.hasManifest(...about)),
  hasBlob: (...about) => during(enter, ({ target }) => target!.hasBlob(...about)),
  putBlob: (...about) => during(enter, ({ target }) => target!.putBlob(...about)),
  putManifest: (...about) => during(enter, ({ target }) => target!.putManifest(...about)),
  moveTag: (...about) => during(enter, ({ target }) => target!.moveTag(...about)),
  backup: (...about) => during(enter, ({ target }) => target!.backup(...about)),
  removeBackup: (...about) => during(enter, ({ target }) => target!.removeBackup(...about)),
});

const through = (enter: () => Entered, which: (source: MirrorSource) => Registry): Registry => ({
  getBlob: (query, ctx) => during(enter, ({ source }) => which(source).getBlob(query, ctx)),
  statBlob: (query, ctx) => during(enter, ({ source }) => which(source).statBlob(query, ctx)),
  getManifest: (query, ctx) => during(enter, ({ source }) => which(source).getManifest(query, ctx)),
  statManifest: (query, ctx) => during(enter, ({ source }) => which(source).statManifest(query, ctx)),
  listTags: (query, ctx) => during(enter, ({ source }) => which(source).listTags(query, ctx)),
  listReferrers: (query, ctx) => during(enter, ({ source }) => which(source).listReferrers(query, ctx)),
});

const during = async <R>(enter: () => Entered, ask: (door: Entered["door"]) => Promise<R>): Promise<R> => {
  const { door, leave } = enter();
  try {
    const answer = await ask(door);
    const body = bodyOf(answer);
    if (body === undefined) leave();
    else finished(body, leave);
    return answer;
  } catch (error) {
    leave();
    throw error;
  }
};

const bodyOf = (answer: unknown): Readable | undefined => (answer as { readonly body?: Readable } | undefined)?.body;
