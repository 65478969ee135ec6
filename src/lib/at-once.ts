// The same work over many things, so many of them at once.

/** Resolves when all are done; the first failure is thrown once nothing is under way any more, and nothing new is begun after it. */
export const eachOf = async <T>(things: Iterable<T>, atOnce: number, work: (thing: T) => Promise<void>): Promise<void> => {
  const left = things[Symbol.iterator]();
  let failure: { readonly error: unknown } | undefined;
  const worker = async () => {
    for (let next = left.next(); next.done !== true && failure === undefined; next = left.next()) {
      try {
        await work(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  if (failure !== undefined) throw failure.error;
};
