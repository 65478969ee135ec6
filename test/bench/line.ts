// The line to the upstream: all that leaves it, over however many connections, shares so many bytes a second. The kernel paces it, so that
// nobody's CPU pays for it and no burst goes first.
import { must } from "../e2e/part.ts";
import { ADDRESS } from "./origin.ts";

const tc = (command: string) => must(["tc", ...command.split(" ")]);

/** While the work goes on; what comes from other addresses is not touched. */
export const narrowed = async <T>(bytesPerSecond: number, work: () => Promise<T>): Promise<T> => {
  const rate = `${bytesPerSecond * 8}bit`;
  await tc("qdisc add dev lo root handle 1: htb default 0");
  try {
    // a burst of more than the largest packet of loopback, but not of much more
    await tc(`class add dev lo parent 1: classid 1:1 htb rate ${rate} ceil ${rate} burst 128k cburst 128k quantum 65536`);
    await tc(`filter add dev lo parent 1: protocol ip u32 match ip src ${ADDRESS}/32 flowid 1:1`);
    return await work();
  } finally {
    await tc("qdisc del dev lo root");
  }
};
