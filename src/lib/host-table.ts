// What is said of host names: of exact ones, and of every host below a suffix (`*.pkg.dev`, of any depth, which is not `pkg.dev`). An exact
// name decides before a suffix, a longer suffix before a shorter one; `false` takes names out again.
import { isHost, plainHost } from "./host-name.ts";
import { ZoneTable } from "./zone-table.ts";

export class HostTable<T extends object> {
  readonly #exact: ReadonlyMap<string, T | false>;
  readonly #below: ZoneTable<T | false> | undefined;

  /** Names in plain form, or `*.` and such a one; of two that are the same the later decides. */
  constructor(entries: Iterable<readonly [name: string, value: T | false]>) {
    const all = [...entries];
    const below = all.filter(([name]) => isWildcardName(name)).map(([name, value]) => [suffixOf(name), value] as const);
    this.#exact = new Map(all.filter(([name]) => !isWildcardName(name)));
    this.#below = below.length === 0 ? undefined : new ZoneTable(below);
  }

  /** In any case, with or without a trailing dot. Below a suffix only what can be a host is found: no `_service` name is. */
  find(name: string): T | undefined {
    const plain = plainHost(name);
    const exact = this.#exact.get(plain);
    if (exact !== undefined || this.#below === undefined) return exact || undefined;
    const found = this.#below.find(plain.slice(plain.indexOf(".") + 1));
    return found !== undefined && found !== false && plain.includes(".") && isHost(plain) ? found : undefined;
  }
}

export const isWildcardName = (name: string): boolean => name.startsWith("*.");

/** `*.pkg.dev` → `pkg.dev`; any other name as it is. */
export const suffixOf = (name: string): string => (isWildcardName(name) ? name.slice(2) : name);
