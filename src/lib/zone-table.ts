// What is said of names at and under a zone: the longest zone that a name lies in decides.

export class ZoneTable<T> {
  readonly #zones: ReadonlyMap<string, T>;

  /** Zones in lower case, without trailing dot. */
  constructor(zones: Iterable<readonly [string, T]>) {
    this.#zones = new Map(zones);
  }

  /** `name` in lower case, without trailing dot; within a label, a dot has a backslash before it. */
  find(name: string): T | undefined {
    if (this.#zones.size === 0) return undefined;
    for (let rest = name; rest !== ""; rest = rest.replace(FIRST_LABEL, "")) {
      const found = this.#zones.get(rest);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

const FIRST_LABEL = /^(?:\\.|[^.\\])*(?:\.|\\?$)/s;
