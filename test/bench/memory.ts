// Memory of the whole process tree: at rest, after all other measurements, and while a hundred clients read a large blob slowly.
import { setTimeout as sleep } from "node:timers/promises";
import { verify } from "./ask.ts";
import { clients } from "./clients.ts";
import { type Memory, memoryOf } from "./processes.ts";
import { interleave, type Metrics, type Rounds } from "./rounds.ts";
import type { Door, Name, Server } from "./server.ts";
import type { Stage } from "./stage.ts";

const READERS = 100;
const BYTES_PER_SECOND = 256 * 1024;
const HOLD_MS = 4_000;

const resting = new WeakMap<Stage, Map<Name, Memory>>();

/** Before anything is asked of them. */
export const takeRest = async (stage: Stage): Promise<void> => {
  await sleep(1_000);
  const all = await Promise.all(stage.doors.map(async ({ name, pid }) => [name, await memoryOf(pid)] as const));
  resting.set(stage, new Map(all));
};

export const memory = async (stage: Stage): Promise<Rounds> => {
  const thing = await stage.large();
  return interleave("memory", stage.doors, 1, async (server) => {
    const rest = resting.get(stage)?.get(server.name);
    const after = await memoryOf(server.pid);
    await verify(server, thing);
    const most = await withReaders(server, thing.path);
    await verify(server, thing);
    if (rest === undefined) throw new Error("nobody has looked at them at rest");
    const perReader = { each: most.once / READERS, grown: (most.once - after.once) / READERS };
    return { ...named("rest", rest), ...named("after", after), ...named("readers", most), ...perReader };
  });
};

const named = (when: string, { once, rss, pss }: Memory): Metrics => ({ [when]: once, [`${when}Rss`]: rss, [`${when}Pss`]: pss });

/** The most that it takes while all of them read. */
const withReaders = async (server: Server & Door, path: string): Promise<Memory> => {
  const asks = Array.from({ length: READERS }, () => ({ path, rate: BYTES_PER_SECOND }));
  let most: Memory = { rss: 0, pss: 0, once: 0 };
  let reading = true;
  const reads = clients(server, asks, { holdMs: HOLD_MS }).finally(() => (reading = false));
  reads.catch(() => {}); // it is waited for below
  while (reading) {
    const now = await memoryOf(server.pid);
    if (now.once > most.once) most = now;
    await sleep(200);
  }
  const came = await reads;
  const idle = came.filter(({ status, bytes }) => status !== 200 || bytes === 0).length;
  if (idle > 0) throw new Error(`${server.name}: ${idle} of ${READERS} readers had nothing`);
  return most;
};
