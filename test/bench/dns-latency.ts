// How long a DNS answer takes while Layover's front end has all the work that it can do: small answers without a pause, and large blobs
// besides. dnsmasq, asked in the same way beside the same work, shows what is the machine's doing.
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { question } from "../e2e/names/asking.ts";
import { fetchAll } from "./ask.ts";
import { HIJACKED, KEPT, ZONE } from "./dnsmasq.ts";
import { interleave, type Metrics, type Rounds } from "./rounds.ts";
import type { Stage } from "./stage.ts";
import { quantile } from "./statistics.ts";
import { wrk } from "./wrk.ts";

const A = 1;
const READERS = 4;
/** Milliseconds between two questions of a kind, and until one counts as lost. */
const EVERY = 5;
const PATIENCE = 2_000;

/** A name whose answer may not be kept costs a question to the resolver each time. */
const KINDS = { hijacked: HIJACKED[0]!, cached: KEPT.name, forwarded: `latency.${ZONE.name}` };
type Kind = keyof typeof KINDS;

const open = async (server: string): Promise<Socket> => {
  const socket = createSocket("udp4");
  socket.connect(53, server);
  await once(socket, "connect");
  return socket;
};

/** Asks at a steady pace, whatever comes back, until told to end; the times are milliseconds. */
const pace = async (server: string, name: string, isOver: () => boolean): Promise<number[]> => {
  const socket = await open(server);
  const [asked, times] = [new Map<number, number>(), [] as number[]];
  socket.on("message", (reply) => {
    const began = asked.get(reply.readUInt16BE(0));
    if (began === undefined) return;
    asked.delete(reply.readUInt16BE(0));
    if ((reply[3]! & 15) === 0 && reply.readUInt16BE(6) > 0) times.push(performance.now() - began);
  });
  let id = 0;
  while (!isOver()) {
    id = (id + 1) & 0xffff;
    asked.set(id, performance.now());
    socket.send(question(name, A, { id }));
    await sleep(EVERY);
  }
  for (let waited = 0; asked.size > 0 && waited < PATIENCE; waited += EVERY) await sleep(EVERY);
  socket.close();
  if (times.length < id) throw new Error(`${server}: ${id - times.length} of ${id} questions for ${name} had no good answer`);
  return times;
};

/** Both at once, for a while: neither leaves the front end a moment. */
const fullLoad = async ({ ours, manifest, dir, pace: { seconds } }: Stage, large: Awaited<ReturnType<Stage["large"]>>) => {
  let isOver = false;
  const reading = async () => {
    while (!isOver) await fetchAll(ours, large);
  };
  const readers = Array.from({ length: READERS }, reading);
  await sleep(200);
  const load = await wrk(ours, [manifest.byDigest], seconds, dir).finally(() => (isOver = true));
  return { perSecond: load.requests / load.seconds, rest: Promise.all(readers) };
};

export const underLoad = async (stage: Stage): Promise<Rounds> => {
  const large = await stage.large();
  await fetchAll(stage.ours, large);
  return interleave("dns-loaded", stage.resolvers, stage.pace.rounds, async (server): Promise<Metrics> => {
    let isOver = false;
    const asking = (Object.keys(KINDS) as Kind[]).map(
      async (kind) => [kind, await pace(server.dns, KINDS[kind], () => isOver)] as const,
    );
    const { perSecond, rest } = await fullLoad(stage, large).finally(() => (isOver = true));
    const times = await Promise.all(asking);
    await rest;
    const figures = times.flatMap(([kind, all]) => [
      [`${kind}50`, quantile(all, 0.5)] as const,
      [`${kind}99`, quantile(all, 0.99)] as const,
    ]);
    return { ...Object.fromEntries(figures), load: perSecond };
  });
};
