// What is held already: manifests and small blobs by wrk, a large blob by four clients at once.
import { fetchAll, verify } from "./ask.ts";
import { clients } from "./clients.ts";
import type { Thing } from "./origin.ts";
import { costOf, interleave, type Metrics, type Rounds } from "./rounds.ts";
import type { Door, Server } from "./server.ts";
import type { Stage } from "./stage.ts";
import { wrk } from "./wrk.ts";

const CLIENTS = 4;
const GIB = 2 ** 30;

/** All of them over one connection; throws unless each is the right one. */
export const verifyAll = async (door: Door, things: readonly Thing[]): Promise<void> => {
  const came = await clients(
    door,
    things.map(({ path }) => ({ path })),
    { oneByOne: true },
  );
  const wrong = things.find((thing, n) => came[n]?.status !== 200 || came[n].digest !== thing.digest);
  if (wrong) throw new Error(`${door.name}: ${wrong.path} came wrong`);
};

const load = async (stage: Stage, what: string, things: readonly Thing[]): Promise<Rounds> => {
  for (const door of stage.doors) {
    await verifyAll(door, things);
    await wrk(door, things, 1, stage.dir).catch(() => undefined); // what runs for days is not measured in its first second
  }
  return interleave(what, stage.doors, stage.pace.rounds, async (server) => {
    await verifyAll(server, things);
    const [done, cost] = await costOf(server, () => wrk(server, things, stage.pace.seconds, stage.dir));
    await verifyAll(server, things);
    return { rate: done.requests / done.seconds, cpu: (cost.cpu / done.requests) * 1e6, client: cost.clientCpu / cost.seconds };
  });
};

export const manifestByDigest = (stage: Stage): Promise<Rounds> => load(stage, "manifest-digest", [stage.manifest.byDigest]);
export const manifestByTag = (stage: Stage): Promise<Rounds> => load(stage, "manifest-tag", [stage.manifest.byTag]);
export const smallBlobs = (stage: Stage): Promise<Rounds> => load(stage, "blob-small", stage.small);

export const largeBlob = async (stage: Stage): Promise<Rounds> => {
  const { times, rounds } = stage.pace.large;
  const thing = await stage.large();
  for (const door of stage.doors) await verify(door, thing);
  return interleave("blob-large", stage.doors, rounds, (server) => readByAll(server, thing, times));
};

const readByAll = async (server: Server & Door, thing: Thing, times: number): Promise<Metrics> => {
  await verify(server, thing);
  const all = () => Promise.all(Array.from({ length: CLIENTS }, () => fetchAll(server, thing, times)));
  const [, { cpu, clientCpu, seconds }] = await costOf(server, all);
  await verify(server, thing);
  const bytes = thing.size * times * CLIENTS;
  return { rate: bytes / 2 ** 20 / seconds, cpu: (cpu / bytes) * GIB, client: (clientCpu / bytes) * GIB };
};
