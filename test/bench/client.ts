// A process of its own: clients that start at their time, leave at their byte, or read slowly. It is told what to do by its one argument,
// and prints what came of it. Times are milliseconds, from when the request was sent.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Agent, get } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";

export type Ask = {
  path: string;
  /** After the start of the job. */
  at?: number;
  /** Leaves when it has this many bytes. */
  leaveAt?: number;
  /** Reads so many bytes a second at most. */
  rate?: number;
};
export type Job = {
  host: string;
  address: string;
  certificate: string;
  asks: Ask[];
  /** One after the other on one connection; else each on its own. */
  oneByOne?: boolean;
  /** All leave after so long. */
  holdMs?: number;
};
export type Came = {
  path: string;
  status: number;
  firstByte: number;
  bytes: number;
  began: number;
  ended: number;
  digest: string;
};

const since = performance.now();
const now = () => performance.now() - since;

const one = async (job: Job, agent: Agent, { path, at = 0, leaveAt = Infinity, rate = Infinity }: Ask): Promise<Came> => {
  if (at > now()) await sleep(at - now());
  const came: Came = { path, status: 0, firstByte: Number.NaN, bytes: 0, began: now(), ended: 0, digest: "" };
  const hash = createHash("sha256");
  const headers = { accept: "application/vnd.oci.image.manifest.v1+json" };
  const { promise, resolve } = Promise.withResolvers<void>();
  const request = get({ host: job.address, servername: job.host, path, agent, headers: { ...headers, host: job.host } });
  const leave = () => request.destroy();
  const timer = job.holdMs === undefined ? undefined : setTimeout(leave, job.holdMs);
  // The handshake is no part of a first byte.
  request.once("socket", (socket) => {
    if (socket.connecting) socket.once("secureConnect", () => (came.began = now()));
    else came.began = now();
  });
  request.on("response", (response) => {
    came.status = response.statusCode ?? 0;
    response.on("data", (chunk: Buffer) => {
      if (came.bytes === 0) came.firstByte = now() - came.began;
      came.bytes += chunk.length;
      if (leaveAt === Infinity) hash.update(chunk);
      if (came.bytes >= leaveAt) return leave();
      if (rate === Infinity) return;
      response.pause();
      setTimeout(() => response.resume(), (chunk.length / rate) * 1_000);
    });
    response.on("error", () => {}).once("close", resolve);
  });
  request.on("error", () => {}).once("close", resolve);
  await promise;
  clearTimeout(timer);
  came.ended = now();
  came.digest = `sha256:${hash.digest("hex")}`;
  return came;
};

const work = async (job: Job): Promise<Came[]> => {
  const agent = new Agent({
    keepAlive: job.oneByOne === true,
    maxSockets: job.oneByOne ? 1 : Infinity,
    ca: readFileSync(job.certificate),
  });
  if (!job.oneByOne) return Promise.all(job.asks.map((ask) => one(job, agent, ask)));
  const all: Came[] = [];
  for (const ask of job.asks) all.push(await one(job, agent, ask));
  agent.destroy();
  return all;
};

if (process.argv[1] === import.meta.filename) {
  process.stdout.write(JSON.stringify(await work(JSON.parse(process.argv[2]!) as Job)));
}
