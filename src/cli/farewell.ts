// The front end's last minute: names lead elsewhere by now, but clients keep an answer for a while. They are served until nobody comes
// any more; then nobody new is let in, and what is under way may end.
import { setTimeout as sleep } from "node:timers/promises";
import type { FrontEnd } from "../app.ts";
import type { Ending } from "./ending.ts";

/** Nobody has asked for so long: nobody will. Milliseconds. */
const QUIET = 3_000;
const LOOK_EVERY = 100;

/** Resolves when all is closed. */
export const farewell = async (front: Pick<FrontEnd, "lastAsked" | "close">, end: Ending): Promise<void> => {
  const began = performance.now();
  const isQuiet = () => performance.now() - Math.max(began, front.lastAsked()) >= QUIET;
  while (end.left.grace > 0 && !isQuiet()) await sleep(LOOK_EVERY);
  const cut = new AbortController();
  const within = (drain: number) => setTimeout(() => cut.abort(), drain);
  end.onOrder(({ drain }) => within(drain));
  within(end.left.drain);
  await front.close(cut.signal);
};
