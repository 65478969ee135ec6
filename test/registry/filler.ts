// A process that downloads blobs through flights, for tests to kill: `filler.ts <folder> <url of a repository's blobs> <digest>…`.
// One line for each thing that is true by then.
import { createHash } from "node:crypto";
import { writeSync } from "node:fs";
import { request } from "undici";
import { silent } from "../../src/lib/log.ts";
import { algorithmOf, parseDigest } from "../../src/oci/digest.ts";
import { parseContentRange } from "../../src/oci/range.ts";
import { flights } from "../../src/registry/flights.ts";
import { openDisk } from "../../src/store/disk.ts";

const [folder = "", url = "", ...names] = process.argv.slice(2);
const say = (line: string): void => void writeSync(1, `${line}\n`);

const store = await openDisk({ folder, room: async () => ({ free: 2 ** 40, total: 2 ** 40 }) });
const flying = flights(store, silent);
say("open");

const openFor = (digest: string) => async (offset: number, signal: AbortSignal) => {
  const headers = offset === 0 ? {} : { range: `bytes=${offset}-` };
  const answer = await request(`${url}/${digest}`, { headers, signal });
  const part = parseContentRange(answer.headers["content-range"]?.toString());
  const total = part === undefined ? Number(answer.headers["content-length"]) : part.total;
  return { body: answer.body, start: part?.start ?? 0, total };
};

await Promise.all(
  names.map(async (name) => {
    const digest = parseDigest(name);
    if ((await store.stat(digest)) !== undefined) return say(`held ${digest}`);
    const flight = flying.begin(digest);
    const joining = { open: openFor(digest), client: "192.0.2.1", site: "registry.example", isEntitled: async () => true };
    const { body } = await flight.join(joining, undefined, new AbortController().signal);
    const hash = createHash(algorithmOf(digest));
    for await (const chunk of body as AsyncIterable<Buffer>) hash.update(chunk);
    say(`read ${algorithmOf(digest)}:${hash.digest("hex")}`);
    await flight.done;
    say(`committed ${digest}`);
  }),
);
say("all");
await store.close();
