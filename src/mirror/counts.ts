// What is counted of syncs, from the start of the process on, by entry. Only entries that have been synced are known here.

export interface EntryCounts {
  changes: number;
  failures: number;
  /** Bytes. */
  fetched: number;
}

/** What became of messages to webhooks. */
export interface Delivered {
  sent: number;
  failed: number;
  /** Never tried: too many waited. */
  dropped: number;
}

export class MirrorCounts {
  readonly webhooks: Delivered = { sent: 0, failed: 0, dropped: 0 };
  readonly #entries = new Map<string, EntryCounts>();

  of(entry: string): EntryCounts {
    const known = this.#entries.get(entry);
    if (known !== undefined) return known;
    const fresh = { changes: 0, failures: 0, fetched: 0 };
    this.#entries.set(entry, fresh);
    return fresh;
  }

  /** Those of all others are forgotten: nothing grows with what was once in a list. */
  keepOnly(entries: readonly string[]): void {
    const stays = new Set(entries);
    for (const name of [...this.#entries.keys()]) if (!stays.has(name)) this.#entries.delete(name);
  }
}
