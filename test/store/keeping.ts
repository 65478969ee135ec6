// A data folder of a test's own, opened whole, with room and time as the test wants them.
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { type Logger, silent } from "../../src/lib/log.ts";
import { algorithmOf, type Digest, digestOf, hexOf } from "../../src/oci/digest.ts";
import type { BlobStore } from "../../src/store/blobs.ts";
import { type Kept, type KeptOptions, openKept } from "../../src/store/kept.ts";

export const ROOMY = async () => ({ free: 2 ** 40, total: 2 ** 40 });

export const scratch = (): string => {
  const path = mkdtempSync(join(tmpdir(), "layover-kept-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
};

export interface Keeping extends Kept {
  readonly folder: string;
  /** Time goes on. */
  readonly pass: (ms: number) => void;
  readonly fileOf: (digest: Digest) => string;
}

const NEVER = () => false;

export const keeping = async (options: Partial<KeptOptions> = {}): Promise<Keeping> => {
  const folder = options.folder ?? scratch();
  let now = Date.now();
  const kept = await openKept({
    folder,
    maxSize: undefined,
    maxAge: undefined,
    isPinned: NEVER,
    clock: () => now,
    log: silent,
    room: ROOMY,
    lockWait: 0,
    ...options,
  });
  let isClosed = false;
  const close = async () => {
    if (isClosed) return;
    isClosed = true;
    await kept.close();
  };
  onTestFinished(close);
  return {
    ...kept,
    close,
    folder,
    pass: (ms) => {
      now += ms;
    },
    fileOf: (digest) => join(folder, "blobs", algorithmOf(digest), hexOf(digest).slice(0, 2), hexOf(digest)),
  };
};

/** Commits these bytes; as a manifest, where `parts` are given. */
export const put = async (store: BlobStore, bytes: Buffer, parts?: readonly Digest[]): Promise<Digest> => {
  const digest = digestOf(bytes);
  const stage = await store.stage(bytes.length);
  try {
    await stage.append(bytes);
    expect(await stage.verify(digest)).toBe(true);
    await stage.commit(parts);
  } finally {
    await stage.discard(new Error("over"));
  }
  return digest;
};

/** A body of this length that no other seed has. */
export const body = (length: number, seed: number): Buffer => {
  const bytes = Buffer.alloc(length, seed % 251);
  bytes.write(String(seed));
  return bytes;
};

export const holds = async (store: BlobStore, digest: Digest): Promise<boolean> => (await store.stat(digest)) !== undefined;

/** What was logged, as `level message`. */
export const logged = (): { log: Logger; lines: string[] } => {
  const lines: string[] = [];
  const at =
    (level: string) =>
    (fields: unknown, message?: string): void =>
      void lines.push(`${level} ${message ?? String(fields)}`);
  const log = { ...silent, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") } as Logger;
  return { log, lines };
};

/** No file of any such folder is open. */
export const nothingOpen = async (): Promise<void> => {
  const isOurs = (fd: string): boolean => {
    try {
      return /layover-kept-.*\/(spool|blobs)\//.test(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false;
    }
  };
  await expect.poll(() => readdirSync("/proc/self/fd").filter(isOurs)).toEqual([]);
};
