// A DNS answer takes microseconds, and shall not wait for a front end that has work for more than all processors: this process comes
// first at the scheduler, where it may, and its children do not. On one core it waits for its turn a quarter as long so.
import { getPriority, setPriority } from "node:os";

const ORDINARY = getPriority();
const FIRST = Math.max(ORDINARY - 10, -20);
let isFirst = false;

/** Only root and who has CAP_SYS_NICE may. */
export const goFirst = (): void => {
  isFirst = set(FIRST);
};

/** What is started within has no precedence. */
export const ordinarily = <T>(start: () => T): T => {
  if (!isFirst) return start();
  set(ORDINARY);
  try {
    return start();
  } finally {
    set(FIRST);
  }
};

const set = (priority: number): boolean => {
  try {
    setPriority(priority);
    return true;
  } catch {
    return false;
  }
};
