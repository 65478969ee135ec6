// Interleaved rounds (A B C A B C …): what the machine does to one of them it does to its neighbours as well.
import { clientCpu, cpuOf } from "./processes.ts";
import type { Name, Server } from "./server.ts";

export type Metrics = Readonly<Record<string, number>>;
/** A wrong or failed answer leaves no metrics, but says why. */
export type Round = { metrics: Metrics } | { wrong: string };
export type Rounds = Partial<Record<Name, Round[]>>;
/** Seconds: of the server's whole process tree, of the clients that ended meanwhile, and of the wall. */
export type Cost = { cpu: number; clientCpu: number; seconds: number };

export const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** Does the work and says what it cost the server. */
export const costOf = async <T>(server: Server, work: () => Promise<T>): Promise<[T, Cost]> => {
  const [cpu, clients, began] = [await cpuOf(server.pid), await clientCpu(), performance.now()];
  const result = await work();
  const seconds = (performance.now() - began) / 1_000;
  return [result, { cpu: (await cpuOf(server.pid)) - cpu, clientCpu: (await clientCpu()) - clients, seconds }];
};

/** One round of each server after the other, `count` times. A work that throws is a round without a result. */
export const interleave = async <T extends Server>(
  what: string,
  servers: readonly T[],
  count: number,
  work: (server: T, round: number) => Promise<Metrics>,
): Promise<Rounds> => {
  const rounds: Rounds = {};
  for (let round = 0; round < count; round++) {
    for (const server of servers) {
      const done = await work(server, round).then(
        (metrics): Round => ({ metrics }),
        (error: unknown): Round => ({ wrong: String(error) }),
      );
      rounds[server.name] = [...(rounds[server.name] ?? []), done];
      say(`${what} ${round + 1}/${count} ${server.name}: ${inWords(done)}`);
    }
  }
  return rounds;
};

const inWords = (round: Round): string => {
  if ("wrong" in round) return `WRONG ${round.wrong}`;
  return Object.entries(round.metrics)
    .map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`)
    .join(", ");
};
