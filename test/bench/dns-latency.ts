// How long a DNS answer takes while Layover's front end has all the work that it can do: small answers without a pause, and large blobs
// besides. dnsmasq, asked in the same way beside the same work, shows what is the machine's doing.
import { setPriority } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { must } from "../e2e/part.ts";
import { fetchAll } from "./ask.ts";
import { HIJACKED, KEPT, ZONE } from "./dnsmasq.ts";
import type { Thing } from "./origin.ts";
import { interleave, type Metrics, type Rounds } from "./rounds.ts";
import type { Stage } from "./stage.ts";
import { quantile } from "./statistics.ts";
import { wrk } from "./wrk.ts";

const PROBER = new URL("./dns-prober.ts", import.meta.url).pathname;
const READERS = 4;
/** Milliseconds until the load is one. */
const UNDER_WAY = 300;

/** A name whose answer may not be kept costs a question to the resolver each time. */
const KINDS = { hijacked: HIJACKED[0]!, cached: KEPT.name, forwarded: `latency.${ZONE.name}` };

const probe = async (server: string, seconds: number): Promise<Metrics> => {
  const argv = [process.execPath, PROBER, server, String(seconds), ...Object.values(KINDS)];
  const times = JSON.parse(await must(argv)) as number[][];
  const figures = Object.keys(KINDS).flatMap((kind, n) => [
    [`${kind}50`, quantile(times[n]!, 0.5)],
    [`${kind}99`, quantile(times[n]!, 0.99)],
  ]);
  return Object.fromEntries(figures) as Metrics;
};

/** Does the work while neither small answers nor large ones leave the front end a moment; gives how many of the small ones a second it made. */
const underLoad = async <T>({ ours, manifest, dir, pace }: Stage, large: Thing, work: () => Promise<T>): Promise<[T, number]> => {
  let isOver = false;
  const reading = async () => {
    while (!isOver) await fetchAll(ours, large);
  };
  const readers = Array.from({ length: READERS }, reading);
  const small = wrk(ours, [manifest.byDigest], pace.seconds + 1, dir);
  await sleep(UNDER_WAY);
  const [done, { requests, seconds }] = await Promise.all([work(), small]).finally(() => (isOver = true));
  await Promise.all(readers);
  return [done, requests / seconds];
};

export const latency = async (stage: Stage): Promise<Rounds> => {
  const large = await stage.large();
  await fetchAll(stage.ours, large);
  // The resolver stands for a machine elsewhere, which knows nothing of this load.
  setPriority(stage.internet.pid, -15);
  const rounds = interleave("dns-loaded", stage.resolvers, stage.pace.rounds, async (server): Promise<Metrics> => {
    const [times, load] = await underLoad(stage, large, () => probe(server.dns, stage.pace.seconds));
    return { ...times, load };
  });
  return rounds.finally(() => setPriority(stage.internet.pid, 0));
};
