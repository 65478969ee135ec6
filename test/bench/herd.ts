// Clients that come for the same cold blob of a slow upstream: twelve one after the other, of which three leave, the first one among
// them; and fifty at once, who all stay.
import { setTimeout as sleep } from "node:timers/promises";
import { clients } from "./clients.ts";
import { perRound } from "./cold.ts";
import { narrowed } from "./line.ts";
import type { Thing } from "./origin.ts";
import type { Pace } from "./pace.ts";
import { costOf, interleave, type Rounds } from "./rounds.ts";
import type { Stage } from "./stage.ts";
import { median } from "./statistics.ts";

interface Herd {
  readonly what: string;
  readonly count: number;
  /** Bytes a second to the upstream. */
  readonly line: number;
  /** The last one comes when about so much of the download is done. */
  readonly staggeredOver: number;
  readonly leavers: readonly number[];
}
const TWELVE: Herd = { what: "herd", count: 12, line: 20e6, staggeredOver: 0.5, leavers: [0, 4, 8] };
/** As much to the clients together as could go through a server of one core. */
const FIFTY: Herd = { what: "cold-50", count: 50, line: 5e6, staggeredOver: 0, leavers: [] };

const LEAVE_AT = 0.25;
/** A download that nobody waits for any more may go on, and counts. */
const AFTERWARDS = 500;

export const herd = (stage: Stage): Promise<Rounds> => narrowed(TWELVE.line, () => come(stage, TWELVE, stage.pace.herd));
export const cold50 = (stage: Stage): Promise<Rounds> => narrowed(FIFTY.line, () => come(stage, FIFTY, stage.pace.cold50));

const come = (stage: Stage, { what, count, line, staggeredOver, leavers }: Herd, pace: Pace["herd"]): Promise<Rounds> => {
  const size = pace.size * 2 ** 20;
  const step = ((size / line) * 1_000 * staggeredOver) / count;
  const blobs = perRound(stage, size, 1);
  return interleave(what, [stage.origin, ...stage.doors], pace.rounds, async (server, round) => {
    const [thing] = (await blobs(round)) as [Thing];
    const isAlone = server === stage.origin;
    const before = await stage.origin.bytesOf(thing);
    const asks = Array.from({ length: isAlone ? 1 : count }, (_, n) => ({
      path: thing.path,
      at: n * step,
      ...(!isAlone && leavers.includes(n) && { leaveAt: size * LEAVE_AT }),
    }));
    const [came, { cpu }] = await costOf(server, () => clients(server, asks));
    const stayed = came.filter((_, n) => isAlone || !leavers.includes(n));
    const wrong = stayed.find(({ status, digest }) => status !== 200 || digest !== thing.digest);
    if (wrong) throw new Error(`${server.name}: one that stayed has ${wrong.bytes} of ${size} bytes, status ${wrong.status}`);
    const seconds = (Math.max(...stayed.map(({ ended }) => ended)) - came[0]!.began) / 1_000;
    const followers = came.slice(1).map((each) => each.firstByte);
    await sleep(AFTERWARDS);
    const upstream = ((await stage.origin.bytesOf(thing)) - before) / size;
    return { seconds, ...(!isAlone && { upstream, cpu, first: median(followers), worst: Math.max(...followers) }) };
  });
};
