// A process that pushes images to a hosted site, several at once, for tests to kill: `pusher.ts <folder> <seed>`. One line for what
// was answered: `blob <repo> <digest>`, `tag <repo> <tag> <digest>`; and `going <repo> <tag>` before one is deleted.
import { writeSync } from "node:fs";
import { Readable } from "node:stream";
import { silent } from "../../src/lib/log.ts";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import { ownContext } from "../../src/oci/own-context.ts";
import type { Reference, Repository, Tag } from "../../src/oci/reference.ts";
import { hosted } from "../../src/registry/hosted.ts";
import { policyOf } from "../../src/registry/policy.ts";
import { Uploads } from "../../src/registry/uploads.ts";
import { openKept } from "../../src/store/kept.ts";

const [folder = "", seed = ""] = process.argv.slice(2);
const kept = await openKept({
  folder,
  maxSize: undefined,
  maxAge: undefined,
  isPinned: () => false,
  clock: Date.now,
  log: silent,
  room: async () => ({ free: 2 ** 40, total: 2 ** 40 }),
});
const policy = policyOf({
  policy: { freshFor: 0, staleWhileRevalidate: 0, staleIfError: 0, onGone: "keep" },
  ...{ host: "images.example", kind: "local", rules: [], allow: [], offline: false, onMissing: "cache" },
});
const uploads = new Uploads(kept.blobs, kept.clock);
const writes = hosted({ site: { host: "images.example" }, ...kept, policy, uploads, subjectOf: () => "" });
const ctx = ownContext("test", new AbortController().signal);
const say = (line: string) => void writeSync(1, `${line}\n`);

const pushBlob = async (repo: Repository, bytes: Buffer): Promise<Digest> => {
  const digest = digestOf(bytes);
  const { id } = await writes.openUpload({ repo }, ctx);
  const half = bytes.length / 2;
  await writes.appendUpload({ repo, id, body: Readable.from([bytes.subarray(0, half)]) }, ctx);
  await writes.finishUpload({ repo, id, digest, body: Readable.from([bytes.subarray(half)]) }, ctx);
  say(`blob ${repo} ${digest}`);
  return digest;
};

const push = async (repo: Repository): Promise<void> => {
  for (let n = 0; ; n += 1) {
    const layers = [1, 2].map((layer) => Buffer.alloc(40_000, `${seed} ${repo} ${n} ${layer}`));
    const digests = await Promise.all(layers.map((bytes) => pushBlob(repo, bytes)));
    const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, seed, n, layers: digests.map((digest) => ({ digest })) }));
    const tag = `t${seed}-${n}`;
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    const put = { repo, reference: tag as Reference, tags: [], mediaType, body: Readable.from([manifest]) };
    const { digest } = await writes.putManifest(put, ctx);
    say(`tag ${repo} ${tag} ${digest}`);
    if (n % 4 !== 3) continue;
    say(`going ${repo} ${tag}`);
    await writes.deleteTag({ repo, tag: tag as Tag }, ctx);
  }
};

await Promise.all(["acme/a", "acme/b"].map((repo) => push(repo as Repository)));
