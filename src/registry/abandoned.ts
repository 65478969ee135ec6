// Downloads that every reader has left go on for whoever comes next, but only so many for one client and in all:
// else asking and leaving would be a way to have us download anything.

export interface AbandonedOptions {
  readonly perClient: number;
  readonly inAll: number;
}

export class Abandoned {
  readonly #options: AbandonedOptions;
  readonly #byClient = new Map<string, number>();
  #all = 0;

  constructor(options: AbandonedOptions) {
    this.#options = options;
  }

  /** Whether one more may go on that this client was the last to leave; then to be taken back once. */
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
