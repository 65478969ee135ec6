// A process of its own that asks a DNS server for names at a steady pace, whatever comes back, and prints how many milliseconds each answer
// took. It comes first at the scheduler: its own waiting for a processor is not the server's.
// Arguments: the server, for how many seconds, the names.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { setPriority } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { question } from "../e2e/names/asking.ts";

const A = 1;
/** Milliseconds between two questions for a name, and until one counts as lost. */
const EVERY = 5;
const PATIENCE = 2_000;

const pace = async (server: string, name: string, ms: number): Promise<number[]> => {
  const socket = createSocket("udp4");
  socket.connect(53, server);
  await once(socket, "connect");
  const [asked, times] = [new Map<number, number>(), [] as number[]];
  socket.on("message", (reply) => {
    const id = reply.readUInt16BE(0);
    const began = asked.get(id);
    const isGood = (reply[3]! & 15) === 0 && reply.readUInt16BE(6) > 0;
    if (began !== undefined && isGood) times.push(performance.now() - began);
    if (isGood) asked.delete(id);
  });
  const end = performance.now() + ms;
  for (let id = 0; performance.now() < end; id += 1) {
    asked.set(id, performance.now());
    socket.send(question(name, A, { id }));
    await sleep(EVERY);
  }
  for (let waited = 0; asked.size > 0 && waited < PATIENCE; waited += EVERY) await sleep(EVERY);
  socket.close();
  if (asked.size > 0) throw new Error(`${server}: ${asked.size} questions for ${name} had no good answer`);
  return times;
};

const [server = "", seconds, ...names] = process.argv.slice(2);
setPriority(-15);
process.stdout.write(JSON.stringify(await Promise.all(names.map((name) => pace(server, name, Number(seconds) * 1_000)))));
