// dnsperf, the load generator of DNS.
import { writeFile } from "node:fs/promises";
import { must } from "../e2e/part.ts";

export type Queries = { completed: number; lost: number; good: number; perSecond: number };

export const parseDnsperf = (text: string): Queries => {
  const said = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? Number.NaN);
  const queries = {
    completed: said(/^\s*Queries completed:\s+(\d+)/m),
    lost: said(/^\s*Queries lost:\s+(\d+)/m),
    good: said(/^\s*Response codes:.*\bNOERROR (\d+)/m),
    perSecond: said(/^\s*Queries per second:\s+([\d.]+)/m),
  };
  if (Object.values(queries).some(Number.isNaN)) throw new Error(`dnsperf said nothing of use: ${text.slice(0, 500)}`);
  return queries;
};

/** Asks for the A records of these names in turn. Throws when an answer was refused, or more than one in a thousand was lost. */
export const dnsperf = async (
  server: string,
  names: readonly string[],
  seconds: number,
  file: string,
  cores?: string,
): Promise<Queries> => {
  await writeFile(file, names.map((name) => `${name} A\n`).join(""));
  const pinned = cores === undefined ? [] : ["taskset", "-c", cores];
  const how = ["-s", server, "-d", file, "-l", String(seconds), "-c", "4", "-T", "1", "-q", "100"];
  const queries = parseDnsperf(await must([...pinned, "dnsperf", ...how]));
  if (queries.good < queries.completed)
    throw new Error(`${server}: ${queries.completed - queries.good} answers were not NOERROR`);
  if (queries.lost * 1_000 > queries.completed)
    throw new Error(`${server}: ${queries.lost} of ${queries.completed} queries lost`);
  return queries;
};
