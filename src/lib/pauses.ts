// Pauses that grow with each failure in a row, as tables say, and jitter, so that many who wait do not all come back at once.

/** The pause after so many before it; the last of the table from there on. */
export const stepOf = (pauses: readonly number[], before: number): number => pauses[Math.min(before, pauses.length - 1)]!;

/** A quarter less to a quarter more. */
export const jittered = (ms: number, random: () => number = Math.random): number => ms * (0.75 + random() / 2);
