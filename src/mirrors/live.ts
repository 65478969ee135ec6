// The entries as they are just now, for all who go by them: whoever remembers an answer looks at the version.
import { type MirrorEntry, type Mirrored, NOTHING_MIRRORED } from "../mirrors.ts";
import { type Covers, writes } from "./covers.ts";

export class LiveMirrors implements Mirrored {
  #version = NOTHING_MIRRORED.version;
  #entries: readonly MirrorEntry[] = [];
  #covers: Covers = () => undefined;

  constructor(entries: readonly MirrorEntry[]) {
    if (entries.length > 0) this.take(entries);
  }

  get version(): number {
    return this.#version;
  }

  get entries(): readonly MirrorEntry[] {
    return this.#entries;
  }

  covers(site: string, repo: string, tag: string): MirrorEntry | undefined {
    return this.#covers(site, repo, tag);
  }

  /** From now on these. */
  take(entries: readonly MirrorEntry[]): void {
    this.#entries = entries;
    this.#covers = writes(entries);
    this.#version += 1;
  }
}
