// The tags of a target that is here: moved against what they were when they were read, and never past who holds them.
import type { Clock } from "../lib/clock.ts";
import type { FactStore } from "../store/facts.ts";
import type { Target } from "./target.ts";

export interface LocalTagParts {
  /** A site's own name. */
  readonly site: string;
  readonly facts: FactStore;
  readonly clock: Clock;
}

export const localTags = ({
  site,
  facts,
  clock,
}: LocalTagParts): Pick<Target, "tag" | "moveTag" | "backup" | "removeBackup"> => ({
  async tag(repo, tag) {
    const fact = await facts.tag({ site, repo, tag });
    if (fact?.digest === undefined) return undefined;
    const { digest, generation, hold } = fact;
    return { digest, generation, ...(hold !== undefined && { heldBy: hold.kind }) };
  },
  async moveTag(repo, tag, from, { digest, created }) {
    const key = { site, repo, tag };
    const fact = await facts.tag(key);
    if (fact?.digest !== from || fact?.hold !== undefined) return false;
    const move = { digest, at: clock(), reason: "sync", ...(created !== undefined && { created }) } as const;
    return facts.moveTag(key, move, fact?.generation ?? 0);
  },
  async backup(repo, tag, { digest, created }) {
    const hold = { digest, at: clock(), kind: "backup", onlyFree: true, ...(created !== undefined && { created }) } as const;
    return facts.holdTag({ site, repo, tag }, hold);
  },
  async removeBackup(repo, tag) {
    await facts.expireTag({ site, repo, tag }, clock());
  },
});
