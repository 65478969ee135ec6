// Reads every held blob back and hashes it. What is not what it is called goes into quarantine, so that the next request brings it
// anew. One buffer however large they are; after every portion others have their turn.
import { byteStreamOf } from "../lib/readable-source.ts";
import { algorithmOf, type Digest, hasherFor } from "../oci/digest.ts";
import type { Holding } from "./holdings.ts";
import type { Kept } from "./kept.ts";
import type { OnProgress } from "./progress.ts";
import { reconcile } from "./reconcile.ts";

/** Plain JSON. */
export interface VerifyReport {
  readonly checked: { readonly count: number; readonly bytes: number };
  /** What went into quarantine, and what was wrong with it; the first so many. */
  readonly spoilt: readonly { readonly digest: Digest; readonly size: number; readonly why: string }[];
  readonly spoiltCount: number;
  /** Facts whose file had gone, and files that no fact knew of: both are put right. */
  readonly dropped: number;
  readonly added: number;
  /** Manifests that were not known to be some. */
  readonly recognised: number;
  /** Paths of what does not belong where it is, and is left there; the first so many. */
  readonly strange: readonly string[];
}

export type VerifyParts = Pick<Kept, "blobs" | "disk" | "facts">;

const PAGE = 200;
/** Bytes that are hashed in one go: about a tenth of a millisecond. */
const PORTION = 256 * 1024;
/** Bytes of one blob between two words about it. */
const TELL_EVERY = 64 * 1024 * 1024;
const MOST_NAMED = 1_000;

/** Throws the signal's reason, or that something cannot be looked at just now. What a client reads meanwhile is as it was. */
export const verifyBlobs = async (parts: VerifyParts, onProgress: OnProgress, signal: AbortSignal): Promise<VerifyReport> => {
  const { blobs, disk, facts } = parts;
  const { added, dropped, strange } = await reconcile(
    { folder: disk.folder, held: blobs, inventory: facts.inventory },
    signal,
    0,
  );
  const spoilt: VerifyReport["spoilt"][number][] = [];
  const total = (await facts.holdings.totals()).bytes;
  const buffer = Buffer.allocUnsafeSlow(PORTION);
  const report = { checked: { count: 0, bytes: 0 }, spoiltCount: 0, dropped, added, recognised: 0, strange };
  for await (const holding of every(parts)) {
    signal.throwIfAborted();
    const { digest, size } = holding;
    const tell = (read: number) => {
      const done = report.checked.bytes + read;
      onProgress({ done, total: Math.max(total, done), unit: "bytes", at: digest });
    };
    const why = await flawOf(parts, digest, buffer, signal, tell);
    report.checked.count += 1;
    report.checked.bytes += size;
    if (why === "gone") {
      if ((await blobs.reconcile(digest)) === "dropped") report.dropped += 1;
    } else if (why !== undefined) {
      if (!(await blobs.quarantine(digest))) continue;
      report.spoiltCount += 1;
      if (spoilt.length < MOST_NAMED) spoilt.push({ digest, size, why });
    } else {
      blobs.confirm(digest);
      if (!holding.isManifest && (await blobs.recognise(digest))) report.recognised += 1;
    }
  }
  onProgress({ done: report.checked.bytes, total: report.checked.bytes, unit: "bytes" });
  return { ...report, spoilt };
};

async function* every({ facts }: VerifyParts): AsyncGenerator<Holding> {
  for (let after: Digest | undefined; ; ) {
    const page = await facts.inventory.byDigest({ after, limit: PAGE });
    yield* page;
    if (page.length < PAGE) return;
    after = page.at(-1)!.digest;
  }
}

/** What fails for want of something, or of a right, says nothing of the bytes. */
const NO_VERDICT = new Set(["EMFILE", "ENFILE", "ENOMEM", "EACCES", "EPERM"]);

/** `undefined`: it is what it is called. Throws where that cannot be found out now. */
const flawOf = async (
  { disk }: VerifyParts,
  digest: Digest,
  buffer: Buffer,
  signal: AbortSignal,
  tell: (read: number) => void,
): Promise<string | undefined> => {
  try {
    const body = await disk.read(digest);
    if (body === undefined) return "gone";
    const bytes = byteStreamOf(body);
    const hasher = hasherFor(algorithmOf(digest));
    let read = 0;
    let told = 0;
    tell(read);
    try {
      for (let length = await bytes.readInto(buffer); length > 0; length = await bytes.readInto(buffer)) {
        signal.throwIfAborted();
        hasher.update(buffer.subarray(0, length));
        read += length;
        if (read - told < TELL_EVERY) continue;
        told = read;
        tell(read);
      }
    } finally {
      bytes.destroy();
    }
    return hasher.digest() === digest ? undefined : "its bytes are others";
  } catch (error) {
    signal.throwIfAborted();
    if (NO_VERDICT.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
    return `it cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
};
