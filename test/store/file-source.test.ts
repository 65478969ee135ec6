// Parts of files: exactly their bytes, an error where the file is shorter, and the file closed whenever the reader is over.
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { type FileHandle, open, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { ByteStream } from "../../src/lib/byte-stream.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { openDisk } from "../../src/store/disk.ts";
import { FileSource } from "../../src/store/file-source.ts";
import { isPainted, painted } from "../lib/pattern.ts";

const KIB = 1024;

const folder = (): string => {
  const path = mkdtempSync(join(tmpdir(), "layover-file-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
};

const fileOf = (size: number): string => {
  const path = join(folder(), "body");
  writeFileSync(path, painted(1, size));
  return path;
};

const openFiles = (): number =>
  readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return /layover-file-.*\/(body|spool|blobs)/.test(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false;
    }
  }).length;

const nothingOpen = () => expect.poll(openFiles).toBe(0);

const drained = async (body: ByteStream, size = 64 * KIB): Promise<Buffer> => {
  const into = Buffer.alloc(size);
  const chunks: Buffer[] = [];
  try {
    for (let length = await body.readInto(into); length > 0; length = await body.readInto(into))
      chunks.push(Buffer.from(into.subarray(0, length)));
    return Buffer.concat(chunks);
  } finally {
    body.destroy();
  }
};

describe("a part of a file", () => {
  it.each([
    [0, 0],
    [0, 64 * KIB - 1],
    [0, 64 * KIB],
    [1, 64 * KIB],
    [199_999, 199_999],
    [0, 199_999],
    [10, 9],
  ])("from %i to %i is just that", async (start, end) => {
    const bytes = await drained(new ByteStream(new FileSource(open(fileOf(200_000)), start, end)));
    expect(bytes.length).toBe(end - start + 1);
    expect(isPainted(bytes, 1, start)).toBe(true);
    await nothingOpen();
  });

  it("that the file has no more of is an error, after what there is", async () => {
    const path = fileOf(200_000);
    const body = new ByteStream(new FileSource(open(path), 0, 199_999));
    const into = Buffer.alloc(150_000);
    expect(await body.readInto(into)).toBe(150_000);
    await truncate(path, 160_000);
    expect(await body.readInto(into)).toBe(10_000);
    await expect(body.readInto(into)).rejects.toThrow("shorter than it was");
    body.destroy();
    await nothingOpen();
  });

  it("whose reader leaves while the file is being opened leaves it closed, however late that is", async () => {
    const path = fileOf(1_000);
    const late: Promise<FileHandle> = sleep(50).then(() => open(path));
    const body = new ByteStream(new FileSource(late, 0, 999));
    const reading = body.readInto(Buffer.alloc(10));
    body.destroy();
    await expect(reading).rejects.toThrow("the stream is over");
    const unread = new ByteStream(new FileSource(late, 0, 999));
    unread.destroy();
    await late;
    await nothingOpen();
  });

  it("of a file that cannot be opened says why to its reader, and to nobody else", async () => {
    const body = new ByteStream(new FileSource(open("/nowhere/at/all"), 0, 9));
    await sleep(20);
    await expect(body.readInto(Buffer.alloc(10))).rejects.toThrow("ENOENT");
    body.destroy();
  });
});

describe("a stage that is closed", () => {
  it("is read to its end by who comes then, and left open by nobody who leaves at once", async () => {
    const store = await openDisk({ folder: folder(), room: async () => ({ free: 2 ** 40, total: 2 ** 40 }) });
    onTestFinished(() => store.close());
    const bytes = painted(1, 300_000);
    const stage = await store.stage(bytes.length);
    await stage.append(bytes);
    await stage.verify(digestOf(bytes));
    await stage.commit();
    await nothingOpen();
    for (let time = 0; time < 20; time += 1) stage.follow(0).destroy();
    expect((await drained(stage.follow(0) as ByteStream)).equals(bytes)).toBe(true);
    expect((await drained(stage.follow(299_999) as ByteStream)).equals(bytes.subarray(299_999))).toBe(true);
    await expect(drained(stage.follow(299_999, 300_000) as ByteStream)).rejects.toThrow("shorter than it was");
    await store.delete(digestOf(bytes));
    await expect(drained(stage.follow(0) as ByteStream)).rejects.toThrow("ENOENT");
    await nothingOpen();
  });
});
