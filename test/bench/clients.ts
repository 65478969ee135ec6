// Starts the process of client.ts against a server, and waits for what came of it.
import { must } from "../e2e/part.ts";
import type { Ask, Came, Job } from "./client.ts";
import { HOST } from "./origin.ts";
import type { Door } from "./server.ts";

const CLIENT = new URL("client.ts", import.meta.url).pathname;

/** Fifty times the same layer over a slow line, where each client gets its own. Milliseconds. */
const WITHIN = 180_000;

export const clients = async (door: Door, asks: Ask[], how: Pick<Job, "oneByOne" | "holdMs"> = {}): Promise<Came[]> => {
  const job: Job = { host: HOST, address: door.address, certificate: door.certificate, asks, ...how };
  return JSON.parse(await must([process.execPath, CLIENT, JSON.stringify(job)], { ms: WITHIN })) as Came[];
};
