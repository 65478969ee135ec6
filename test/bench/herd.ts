// Twelve clients that come one after the other for the same cold blob of a slow upstream; three leave, the first one among them.
import { setTimeout as sleep } from "node:timers/promises";
import { clients } from "./clients.ts";
import { perRound } from "./cold.ts";
import { narrowed } from "./line.ts";
import type { Thing } from "./origin.ts";
import { costOf, interleave, type Rounds } from "./rounds.ts";
import type { Stage } from "./stage.ts";
import { median } from "./statistics.ts";

const LINE = 20e6;
const HERD = 12;
const LEAVERS = [0, 4, 8];
const LEAVE_AT = 0.25;
/** The last one comes when about so much of the download is done. */
const STAGGERED_OVER = 0.5;
/** A download that nobody waits for any more may go on, and counts. */
const AFTERWARDS = 500;

export const herd = (stage: Stage): Promise<Rounds> => narrowed(LINE, () => come(stage));

const come = (stage: Stage): Promise<Rounds> => {
  const { size: mebibytes, rounds } = stage.pace.herd;
  const size = mebibytes * 2 ** 20;
  const step = ((size / LINE) * 1_000 * STAGGERED_OVER) / HERD;
  const blobs = perRound(stage, size, 1);
  return interleave("herd", [stage.origin, ...stage.doors], rounds, async (server, round) => {
    const [thing] = (await blobs(round)) as [Thing];
    const isAlone = server === stage.origin;
    const before = await stage.origin.bytesOf(thing);
    const asks = Array.from({ length: isAlone ? 1 : HERD }, (_, n) => ({
      path: thing.path,
      at: n * step,
      ...(!isAlone && LEAVERS.includes(n) && { leaveAt: size * LEAVE_AT }),
    }));
    const [came, { cpu }] = await costOf(server, () => clients(server, asks));
    const stayed = came.filter((_, n) => isAlone || !LEAVERS.includes(n));
    const wrong = stayed.find(({ status, digest }) => status !== 200 || digest !== thing.digest);
    if (wrong) throw new Error(`${server.name}: one that stayed has ${wrong.bytes} of ${size} bytes, status ${wrong.status}`);
    const seconds = (Math.max(...stayed.map(({ ended }) => ended)) - came[0]!.began) / 1_000;
    const followers = came.slice(1).map((each) => each.firstByte);
    await sleep(AFTERWARDS);
    const upstream = ((await stage.origin.bytesOf(thing)) - before) / size;
    return { seconds, ...(!isAlone && { upstream, cpu, first: median(followers), worst: Math.max(...followers) }) };
  });
};
