// From spawn to the first right answer: with what was held before, and for Layover also its very first, when it makes its CA.
import { Ours } from "./ours.ts";
import { interleave, type Rounds } from "./rounds.ts";
import type { Stage } from "./stage.ts";

export const again = (stage: Stage): Promise<Rounds> =>
  interleave("start", stage.all, stage.pace.starts, async (server) => {
    await server.stop();
    return { seconds: await server.start() };
  });

export const first = async (stage: Stage): Promise<Rounds> => {
  await stage.ours.stop();
  try {
    return await interleave("start-first", [stage.ours], stage.pace.starts, async (_, round) => {
      const fresh = await Ours.make(`${stage.dir}/fresh-${round}`, stage.trust);
      const seconds = await fresh.start();
      await fresh.stop();
      return { seconds };
    });
  } finally {
    await stage.ours.start();
  }
};
