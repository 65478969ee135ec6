// A process that fills a store, for tests to kill: `crasher.ts <fill|full> <folder> <stop>`. One line for each step that has returned.
import { writeSync } from "node:fs";
import { join } from "node:path";
import { digestOf } from "../../src/oci/digest.ts";
import type { Repository, Tag } from "../../src/oci/reference.ts";
import { Overflow, type StoreFull } from "../../src/store/blobs.ts";
import { openDisk } from "../../src/store/disk.ts";
import { openSqlite } from "../../src/store/sqlite.ts";

const [mode, folder = "", stop = ""] = process.argv.slice(2);
const PIECE = 4_096;

/** Says it, and stands still for ever where `stop` is what was said: nothing happens any more but the signal. */
const say = (line: string): void => {
  writeSync(1, `${line}\n`);
  if (line.startsWith(stop) && stop !== "") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
};

const store = await openDisk({ folder, room: async () => ({ free: 2 ** 40, total: 2 ** 40 }) });

/** Committed blobs, each under a tag, beside a stage that only ever grows. */
const fill = async (): Promise<void> => {
  const facts = openSqlite(join(folder, "facts.sqlite"));
  const endless = await store.stage();
  for (let n = 0; ; n += 1) {
    const bytes = Buffer.alloc(3 * PIECE + n, n % 256);
    const digest = digestOf(bytes);
    const stage = await store.stage(bytes.length);
    for (let at = 0; at < bytes.length; at += PIECE) {
      await stage.append(bytes.subarray(at, at + PIECE));
      await endless.append(bytes.subarray(at, at + PIECE));
      say(`appended ${n} ${digest}`);
    }
    await stage.verify(digest);
    say(`verified ${n} ${digest}`);
    await stage.commit();
    say(`committed ${n} ${digest}`);
    await facts.moveTag({ site: "s", repo: "r" as Repository, tag: `t${n}` as Tag }, { digest, at: n, reason: "pull" }, 0);
    say(`moved ${n} ${digest}`);
  }
};

/** Fills the disk in one stage, and says what became of it, of its reader, and of a blob that is small enough. */
const full = async (): Promise<void> => {
  const stage = await store.stage();
  const seen: Buffer[] = [];
  const reader = (async () => {
    for await (const chunk of stage.follow(0) as AsyncIterable<Buffer>) seen.push(chunk);
  })().then(
    () => "all",
    (error: Error) => (error instanceof Overflow ? `${error.size} ${error.hasher.digest()}` : error.message),
  );
  const nameOf = (work: Promise<unknown>) => work.then(String, (error: Error) => error.name);
  const piece = Buffer.alloc(10_000, 7);
  let failure: Error | undefined;
  while (failure === undefined)
    failure = await stage.append(piece).then(
      () => undefined,
      (error: Error) => error,
    );
  const whole = Buffer.alloc(stage.size, 7);
  const afterwards = [
    await nameOf(stage.append(piece)),
    await nameOf(stage.verify(digestOf(whole))),
    await nameOf(stage.commit()),
  ];
  await stage.overflow(failure as StoreFull);
  const told = (await reader) === `${whole.length} ${digestOf(whole)}`;
  const small = Buffer.from("small enough");
  const next = await store.stage(small.length);
  await next.append(small);
  await next.verify(digestOf(small));
  await next.commit();
  const kept = (await store.readAll(digestOf(small), 100))?.toString();
  const isAll = whole.equals(Buffer.concat(seen));
  say(JSON.stringify({ failure: failure.name, afterwards, told, isAll, kept, size: whole.length }));
  await store.close();
};

await (mode === "full" ? full() : fill());
