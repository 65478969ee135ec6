// Listening on several addresses, some of which this machine may not have yet: a bridge that comes up later, a lease, an address that moves
// between machines (VRRP). While one of them works the others are tried again and again; with none of them there is nothing to wait behind.
import { type Address, formatAddress } from "./listen.ts";
import type { Logger } from "./log.ts";

const TRY_EVERY = 2_000;

export interface ListenParts<T> {
  /** Rejects with Node's own error. */
  readonly open: (place: Address) => Promise<T>;
  readonly close: (opened: T) => Promise<unknown>;
  /** The configuration key that names them. */
  readonly key: string;
  readonly log: Logger;
}

export interface Listening<T> {
  /** What is open by now, in the order in which it came. */
  readonly opened: readonly T[];
  /** No more is opened, and `opened` stays as it is, when this resolves. */
  readonly stop: () => Promise<void>;
}

/** Rejects with the first error, everything closed again, where an address is there and cannot be had, or none of them is there. */
export const listenEach = async <T>(places: readonly Address[], parts: ListenParts<T>): Promise<Listening<T>> => {
  const opened: T[] = [];
  const missing: Address[] = [];
  let first: unknown;
  for (const place of places) {
    try {
      opened.push(await parts.open(place));
    } catch (error) {
      first ??= error;
      if (isMissing(error)) missing.push(place);
      else return giveUp(opened, parts, error);
    }
  }
  if (missing.length === 0) return { opened, stop: () => Promise.resolve() };
  if (opened.length === 0) return giveUp(opened, parts, first);
  return { opened, stop: openLater(missing, opened, parts) };
};

const giveUp = async <T>(opened: readonly T[], { close }: ListenParts<T>, error: unknown): Promise<never> => {
  await Promise.all(opened.map(close));
  throw error;
};

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === "EADDRNOTAVAIL";

/** Gives what ends the trying. */
const openLater = <T>(missing: readonly Address[], opened: T[], { open, key, log }: ListenParts<T>): (() => Promise<void>) => {
  const waiting = new Map(missing.map((place) => [place, "EADDRNOTAVAIL"]));
  for (const place of missing)
    log.warn({ key, address: formatAddress(place) }, "this machine has no such address yet: it is listened on as soon as it has");
  const tryOne = async (place: Address): Promise<void> => {
    try {
      opened.push(await open(place));
      waiting.delete(place);
      log.info({ key, address: formatAddress(place) }, "listening on an address that has come");
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? "";
      if (code !== waiting.get(place) && !isMissing(error))
        log.error({ key, address: formatAddress(place), err: String(error) }, "an address that has come cannot be listened on");
      waiting.set(place, code);
    }
  };
  let trying: Promise<void> | undefined;
  const tryAll = async (): Promise<void> => {
    for (const place of [...waiting.keys()]) await tryOne(place);
    trying = undefined;
    if (waiting.size === 0) clearInterval(timer);
  };
  const timer = setInterval(() => {
    trying ??= tryAll();
  }, TRY_EVERY).unref();
  return async () => {
    clearInterval(timer);
    await trying;
  };
};
