// Work on one thing at a time, in the order in which it was asked for; work on others goes on beside it.

export class Turns<Key> {
  readonly #last = new Map<Key, Promise<void>>();

  take<T>(key: Key, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const result = before === undefined ? work() : before.then(work);
    const over = result.then(nothing, nothing);
    this.#last.set(key, over);
    void over.then(() => {
      if (this.#last.get(key) === over) this.#last.delete(key);
    });
    return result;
  }
}

const nothing = (): void => undefined;
