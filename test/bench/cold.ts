// What is not held yet, beside a client that asks the upstream itself: a large blob, and the first byte of smaller ones.
import { setTimeout as sleep } from "node:timers/promises";
import { fetchAll, verify } from "./ask.ts";
import { clients } from "./clients.ts";
import { narrowed } from "./line.ts";
import type { Thing } from "./origin.ts";
import { costOf, interleave, type Rounds } from "./rounds.ts";
import type { Stage } from "./stage.ts";
import { median } from "./statistics.ts";

const LINE = 100e6;
const MISS = 2 ** 20;
/** What a server still does when its client has all is part of its cost. */
const AFTERWARDS = 200;

/** So many new blobs for each round, the same for all servers. */
export const perRound = (stage: Stage, size: number, count: number): ((round: number) => Promise<Thing[]>) => {
  const made: Thing[][] = [];
  return async (round) => {
    const things = made[round] ?? [];
    made[round] = things;
    while (things.length < count) things.push(await stage.origin.blob(size));
    return things;
  };
};

const cold = (stage: Stage, what: string): Promise<Rounds> => {
  const { size, rounds } = stage.pace.cold;
  const blobs = perRound(stage, size * 2 ** 20, 1);
  return interleave(what, [stage.origin, ...stage.doors], rounds, async (server, round) => {
    const [thing] = (await blobs(round)) as [Thing];
    const [[fetched], { cpu }] = await costOf(server, async () => {
      const all = await fetchAll(server, thing);
      await sleep(AFTERWARDS);
      return all;
    });
    if (server !== stage.origin) await verify(server, thing);
    return { seconds: fetched!.seconds, ...(server !== stage.origin && { cpu: (cpu / thing.size) * 2 ** 30 }) };
  });
};

export const coldLimited = (stage: Stage): Promise<Rounds> => narrowed(LINE, () => cold(stage, "cold-100"));
export const coldBare = (stage: Stage): Promise<Rounds> => cold(stage, "cold-bare");

export const firstByte = (stage: Stage): Promise<Rounds> => {
  const blobs = perRound(stage, MISS, stage.pace.misses);
  let direct = Number.NaN; // the origin comes first in each round
  return interleave("first-byte", [stage.origin, ...stage.doors], stage.pace.rounds, async (server, round) => {
    const things = await blobs(round);
    const asks = things.map(({ path }) => ({ path }));
    const came = await clients(server, asks, { oneByOne: true });
    const wrong = came.find(({ status, digest }, n) => status !== 200 || digest !== things[n]!.digest);
    if (wrong) throw new Error(`${server.name}: ${wrong.path}: ${wrong.status}, ${wrong.bytes} bytes`);
    const ms = median(came.map((each) => each.firstByte));
    if (server === stage.origin) direct = ms;
    return { ms, ...(server !== stage.origin && { added: ms - direct }) };
  });
};
