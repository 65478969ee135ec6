// A host below a wildcard as a sync reads it: its door may be closed whenever nobody uses it, so each question opens it, and keeps it open
// until the answer is over.
import { finished, type Readable } from "node:stream";
import type { MirrorSource } from "./mirror/engine.ts";
import type { Registry } from "./oci/registry.ts";

/** In use until `leave`. */
export interface Entered {
  readonly door: { readonly source: MirrorSource };
  readonly leave: () => void;
}

export const sourceBelow = (enter: () => Entered): MirrorSource => ({
  upstream: through(enter, ({ upstream }) => upstream),
  cache: through(enter, ({ cache }) => cache),
  listRepositories: (query, ctx) => during(enter, ({ listRepositories }) => listRepositories!(query, ctx)),
});

const through = (enter: () => Entered, which: (source: MirrorSource) => Registry): Registry => ({
  getBlob: (query, ctx) => during(enter, (source) => which(source).getBlob(query, ctx)),
  statBlob: (query, ctx) => during(enter, (source) => which(source).statBlob(query, ctx)),
  getManifest: (query, ctx) => during(enter, (source) => which(source).getManifest(query, ctx)),
  statManifest: (query, ctx) => during(enter, (source) => which(source).statManifest(query, ctx)),
  listTags: (query, ctx) => during(enter, (source) => which(source).listTags(query, ctx)),
  listReferrers: (query, ctx) => during(enter, (source) => which(source).listReferrers(query, ctx)),
});

const during = async <R>(enter: () => Entered, ask: (source: MirrorSource) => Promise<R>): Promise<R> => {
  const { door, leave } = enter();
  try {
    const answer = await ask(door.source);
    const body = bodyOf(answer);
    if (body === undefined) leave();
    else finished(body, leave);
    return answer;
  } catch (error) {
    leave();
    throw error;
  }
};

const bodyOf = (answer: unknown): Readable | undefined => (answer as { readonly body?: Readable }).body;
