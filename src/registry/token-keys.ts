// The keys with which a registry checks tokens, from a file or kept up to date from a URL: asked for one at a time and seldom, the last
// good ones outliving an outage and a restart. A server that is slow, away or lies never keeps a request for long, and takes no key away.
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { within } from "../lib/abort.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { type PublicKeys, parsePublicKeys } from "../lib/public-keys.ts";

/** `undefined`: there are none, or none that are recent enough. */
export interface KeySet {
  readonly keys: PublicKeys | undefined;
  /** Another number whenever the keys are others: what was found with the old ones is to be found again. */
  readonly generation: number;
}

export interface TokenKeys {
  /** Those at hand. */
  now(): KeySet;
  /** Those at hand, or that there soon are. */
  get(): Promise<KeySet>;
  /** As `get`, after asking for newer ones if it is time for that. */
  renew(): Promise<KeySet>;
}

export const fixedKeys = (keys: PublicKeys): TokenKeys => {
  const set = { keys, generation: 0 };
  return { now: () => set, get: () => Promise.resolve(set), renew: () => Promise.resolve(set) };
};

/** Between two questions, whatever tokens come by. Monotonic milliseconds. */
const AGAIN_AFTER = 30_000;
/** Keys that are older are asked for anew, behind whoever comes. Milliseconds. */
const FRESH_FOR = 10 * 60_000;
const ASK_WITHIN = 10_000;
/** A request waits for so much of a question at most, counted from when the question was begun. Milliseconds. */
const PATIENCE = 1_000;

export interface FetchedKeysOptions {
  readonly url: string;
  /** The document at `url`, bounded. Throws what the transport throws. */
  readonly fetch: (signal: AbortSignal) => Promise<string>;
  /** Where the last good ones are kept. */
  readonly file: string;
  /** Keys that could not be confirmed for so long are used no more. Milliseconds. */
  readonly keepFor: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

interface Held {
  readonly text: string;
  readonly at: number;
  readonly keys: PublicKeys;
}

const TOO_OLD: KeySet = { keys: undefined, generation: -1 };

export const fetchedKeys = (options: FetchedKeysOptions): TokenKeys => {
  const { url, fetch, file, keepFor, clock, log, now = () => performance.now() } = options;
  let held: Held | undefined;
  let generation = 0;
  let running: Promise<void> | undefined;
  let begunAt = Number.NEGATIVE_INFINITY;

  const take = (text: string, at: number): void => {
    const keys = parsePublicKeys(text);
    if (held?.text !== text) generation += 1;
    held = { text, at, keys };
  };
  const loaded = load(file, url)
    .then((saved) => saved && take(saved.text, saved.at))
    .catch(() => undefined);
  const { origin, pathname } = new URL(url);
  const ask = async (): Promise<void> => {
    const text = await fetch(AbortSignal.timeout(ASK_WITHIN));
    take(text, clock());
    await save(file, { url, text, at: clock() });
  };
  /** In time for whoever waits, if it is time at all. */
  const begin = (): Promise<void> | undefined => {
    if (running === undefined && now() - begunAt < AGAIN_AFTER) return undefined;
    if (running === undefined) begunAt = now();
    running ??= ask()
      .catch((error: unknown) =>
        log.warn({ url: origin + pathname, err: String(error) }, "the keys for tokens could not be renewed or kept"),
      )
      .finally(() => {
        running = undefined;
      });
    return within(running, Math.max(0, begunAt + PATIENCE - now())).catch(() => undefined);
  };
  const current = (): KeySet => {
    const age = held === undefined ? 0 : Math.abs(clock() - held.at);
    if (age > FRESH_FOR) void begin();
    // the clock may be wrong, and be put right again
    return age > keepFor ? TOO_OLD : { keys: held?.keys, generation };
  };
  const renew = async () => {
    await loaded;
    await begin();
    return current();
  };
  return {
    now: current,
    async get() {
      await loaded;
      const set = current();
      return set.keys === undefined ? renew() : set;
    },
    renew,
  };
};

interface Saved {
  readonly url: string;
  readonly text: string;
  readonly at: number;
}

/** `undefined`: nothing, or the keys of another URL. */
const load = async (file: string, url: string): Promise<Saved | undefined> => {
  const saved = JSON.parse(await readFile(file, "utf8")) as Partial<Saved> | null;
  const { text, at } = saved ?? {};
  return saved?.url === url && typeof text === "string" && typeof at === "number" ? { url, text, at } : undefined;
};

const save = async (file: string, saved: Saved): Promise<void> => {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(`${file}.new`, JSON.stringify(saved), { mode: 0o600, flush: true });
  await rename(`${file}.new`, file);
};
