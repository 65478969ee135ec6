// A process that fills a data folder past its cap, for tests to kill: `keeper.ts <folder> <seed>`. One line for each image that is held.
import { writeSync } from "node:fs";
import { silent } from "../../src/lib/log.ts";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import { openKept } from "../../src/store/kept.ts";

const [folder = "", seed = ""] = process.argv.slice(2);
const CAP = 2_000_000;

const kept = await openKept({
  folder,
  maxSize: CAP,
  maxAge: undefined,
  isPinned: () => false,
  clock: Date.now,
  log: silent,
  room: async () => ({ free: 2 ** 40, total: 2 ** 40 }),
});

const put = async (bytes: Buffer, parts?: readonly Digest[]): Promise<Digest> => {
  const digest = digestOf(bytes);
  const stage = parts === undefined ? await kept.blobs.fill(digest, bytes.length) : await kept.blobs.stage(bytes.length);
  for (let at = 0; at < bytes.length; at += 16_384) await stage.append(bytes.subarray(at, at + 16_384));
  await stage.verify(digest);
  await stage.commit(parts);
  return digest;
};

for (let n = 0; ; n += 1) {
  const layers = await Promise.all(
    [1, 2, 3].map((layer) => put(Buffer.alloc(60_000 + 1_000 * layer, `${seed} ${n} ${layer === 3 ? "shared" : layer}`))),
  );
  const top = await put(Buffer.from(JSON.stringify({ seed, n, layers: layers.map((digest) => ({ digest })) })), layers);
  writeSync(1, `held ${n} ${[top, ...layers].join(" ")}\n`);
}
