// Places for what clients leave behind or have under way: so many for one client and in all, so that nobody can fill them for everybody.

export interface PlacesOptions {
  readonly perClient: number;
  readonly inAll: number;
}

export class Places {
  readonly #options: PlacesOptions;
  readonly #byClient = new Map<string, number>();
  #all = 0;

  constructor(options: PlacesOptions) {
    this.#options = options;
  }

  /** Whether there is one more for this client; then to be taken back once. */
  admit(client: string): boolean {
    const own = this.#byClient.get(client) ?? 0;
    if (own >= this.#options.perClient || this.#all >= this.#options.inAll) return false;
    this.#byClient.set(client, own + 1);
    this.#all += 1;
    return true;
  }

  takeBack(client: string): void {
    const own = (this.#byClient.get(client) ?? 0) - 1;
    if (own > 0) this.#byClient.set(client, own);
    else this.#byClient.delete(client);
    this.#all -= 1;
  }
}
