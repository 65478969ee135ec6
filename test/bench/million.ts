// Start with a million blobs and a hundred thousand tags held, and what a hit costs then: beside the same with next to nothing held.
import { setTimeout as sleep } from "node:timers/promises";
import { fill } from "./fill.ts";
import { HOST } from "./origin.ts";
import { Ours } from "./ours.ts";
import { cpuOf, memoryOf } from "./processes.ts";
import { costOf, interleave, type Rounds, say } from "./rounds.ts";
import type { Stage } from "./stage.ts";
import { verifyAll } from "./warm.ts";
import { wrk } from "./wrk.ts";

const IMAGES = 100_000;
const TAGS_PER_REPO = 100;

/** Both on the same address, so one at a time. */
export const startMillion = async (stage: Stage): Promise<Rounds> => {
  await stage.ours.stop();
  try {
    const few = await Ours.make(`${stage.dir}/few`, stage.trust);
    const many = await Ours.make(`${stage.dir}/million`, stage.trust);
    for (const server of [few, many]) {
      await server.start();
      await verifyAll(server, [stage.manifest.byDigest, stage.manifest.byTag]);
      await server.stop();
    }
    const began = performance.now();
    const blobs = await fill(`${stage.dir}/million/data`, { images: IMAGES, site: HOST, tagsPerRepo: TAGS_PER_REPO });
    say(`start-million: ${blobs} blobs made in ${((performance.now() - began) / 1_000).toFixed(1)} s`);
    return await interleave("start-million", [many], stage.pace.rounds, async () => {
      const [little, much] = [await round(stage, few), await round(stage, many)];
      return {
        seconds: much.seconds,
        few: little.seconds,
        hit: much.hit,
        hitFew: little.hit,
        ratio: much.hit / little.hit,
        background: much.background - little.background,
        memory: much.memory,
        memoryFew: little.memory,
      };
    });
  } finally {
    await stage.ours.start();
  }
};

interface Start {
  readonly seconds: number;
  /** CPU seconds. */
  readonly background: number;
  /** CPU µs. */
  readonly hit: number;
  readonly memory: number;
}

const round = async (stage: Stage, server: Ours): Promise<Start> => {
  const seconds = await server.start();
  try {
    // files and facts are compared in the background: a hit is weighed when that is over
    const background = await quiet(server);
    const things = [stage.manifest.byDigest];
    await verifyAll(server, things);
    await wrk(server, things, 1, stage.dir);
    const [done, cost] = await costOf(server, () => wrk(server, things, stage.pace.seconds, stage.dir));
    return { seconds, background, hit: (cost.cpu / done.requests) * 1e6, memory: (await memoryOf(server.pid)).once };
  } finally {
    await server.stop();
  }
};

const LOOK_EVERY = 1_000;
const AT_MOST = 120;

/** CPU seconds that it spends until it rests. */
const quiet = async (server: Ours): Promise<number> => {
  const began = await cpuOf(server.pid);
  let before = began;
  let rests = 0;
  for (let n = 0; n < AT_MOST && rests < 3; n += 1) {
    await sleep(LOOK_EVERY);
    const now = await cpuOf(server.pid);
    rests = now - before <= 0.02 ? rests + 1 : 0;
    before = now;
  }
  return before - began;
};
