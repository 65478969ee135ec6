// Timers that this project's own code has set and that have neither fired nor been cleared.
import { createHook } from "node:async_hooks";
import { onTestFinished } from "vitest";

/** Those of the upstream's layer end by themselves, soon. */
const OURS = /\/src\/(?:lib|registry|store)\//;

/** From now on, until the test has ended; those that were there before do not count. */
export const watchTimers = (): { pending: () => string[] } => {
  const set = new Map<number, string>();
  const hook = createHook({
    init(id, type) {
      if (type !== "Timeout") return;
      const line = new Error("a timer").stack?.split("\n").find((at) => at.includes("/src/"));
      if (line !== undefined && OURS.test(line)) set.set(id, line.trim());
    },
    destroy: (id) => void set.delete(id),
  }).enable();
  onTestFinished(() => void hook.disable());
  return { pending: () => [...set.values()] };
};
