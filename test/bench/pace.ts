// How much is done: --quick for a look while working, full for figures that are shown.
export type Pace = {
  /** Rounds of what takes seconds, and how many. */
  rounds: number;
  seconds: number;
  /** MiB of a large blob, of a cold one, of the herd's and of the fifty's, and the rounds of each. */
  large: { size: number; times: number; rounds: number };
  cold: { size: number; rounds: number };
  herd: { size: number; rounds: number };
  cold50: { size: number; rounds: number };
  /** Cold blobs of one round of first bytes. */
  misses: number;
  starts: number;
};

export const FULL: Pace = {
  rounds: 5,
  seconds: 3,
  large: { size: 256, times: 2, rounds: 5 },
  cold: { size: 256, rounds: 4 },
  herd: { size: 40, rounds: 2 },
  cold50: { size: 8, rounds: 1 },
  misses: 20,
  starts: 5,
};

export const QUICK: Pace = {
  rounds: 3,
  seconds: 1,
  large: { size: 256, times: 1, rounds: 3 },
  cold: { size: 128, rounds: 2 },
  herd: { size: 16, rounds: 1 },
  cold50: { size: 4, rounds: 1 },
  misses: 10,
  starts: 3,
};
