// wrk, the load generator of small answers: keep-alive, TLS, one thread so that a core is left for the server.
import { writeFile } from "node:fs/promises";
import { must } from "../e2e/part.ts";
import { ACCEPT } from "./ask.ts";
import { HOST, type Thing } from "./origin.ts";
import type { Door } from "./server.ts";

export const CONNECTIONS = 16;

export type Load = { requests: number; seconds: number; failed: number; mebibytes: number };

// wrk counts in powers of 1024.
const UNITS: Record<string, number> = { B: 2 ** -20, KB: 2 ** -10, MB: 1, GB: 2 ** 10 };
const TIMES: Record<string, number> = { us: 1e-6, ms: 1e-3, s: 1, m: 60 };

/** wrk mentions what went wrong only where something did. */
export const parseWrk = (text: string): Load => {
  const total = /^\s*(\d+) requests in ([\d.]+)(us|ms|s|m), ([\d.]+)(B|KB|MB|GB) read$/m.exec(text);
  if (total === null) throw new Error(`wrk said nothing of use: ${text.slice(0, 500)}`);
  const [, requests, time, unit = "", read, size = ""] = total;
  const sockets = /^\s*Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)$/m.exec(text)?.slice(1) ?? [];
  const others = /^\s*Non-2xx or 3xx responses: (\d+)$/m.exec(text)?.[1] ?? 0;
  return {
    requests: Number(requests),
    seconds: Number(time) * TIMES[unit]!,
    failed: [...sockets, others].reduce((sum: number, count) => sum + Number(count), 0),
    mebibytes: Number(read) * UNITS[size]!,
  };
};

/** Asks for these things in turn. Throws when an answer failed or what was read is too little for whole ones. */
export const wrk = async (door: Door, things: readonly Thing[], seconds: number, dir: string): Promise<Load> => {
  // Its name leads to this server alone: wrk takes both the address and the name in the handshake from the URL.
  await writeFile(`${dir}/hosts-${door.name}`, `${door.address} ${HOST}\n`);
  const script = `${dir}/paths-${door.name}.lua`;
  const paths = things.map(({ path }) => `wrk.format("GET", "${path}")`);
  await writeFile(
    script,
    `local all, n\ninit = function() all = { ${paths.join(", ")} } n = 0 end\nrequest = function() n = n % #all + 1 return all[n] end\n`,
  );
  const enter = [
    "unshare",
    "-m",
    "sh",
    "-c",
    'mount --bind "$1" /etc/hosts && shift && exec "$@"',
    "wrk",
    `${dir}/hosts-${door.name}`,
  ];
  const how = ["-t", "1", "-c", String(CONNECTIONS), "-d", `${seconds}s`, "-H", ACCEPT];
  // Without a script wrk writes one request again and again, which costs it less.
  const scripted = things.length > 1 ? ["-s", script] : [];
  const load = parseWrk(await must([...enter, "wrk", ...how, ...scripted, `https://${HOST}${things[0]!.path}`]));
  const least = Math.min(...things.map(({ size }) => size));
  if (load.failed > 0) throw new Error(`${door.name}: ${load.failed} of ${load.requests} requests failed`);
  if (load.requests === 0 || load.mebibytes * 1.01 < (load.requests * least) / 2 ** 20)
    throw new Error(`${door.name}: only ${load.mebibytes} MiB for ${load.requests} requests`);
  return load;
};
