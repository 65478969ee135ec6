// `layover import` at work. Exit status 1: a tag is held where it was, or the bundle is not what it should be.
import { randomUUID } from "node:crypto";
import { open, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Call } from "../admin/operations.ts";
import { type ImportReport, importBundle } from "../bundle/import.ts";
import { type Bundle, openBundle, tarBundle } from "../bundle/read.ts";
import { whyUnread } from "../lib/text-file.ts";
import { about } from "../lib/units.ts";
import type { ImportOptions } from "./import.ts";
import { print } from "./print.ts";
import { showing } from "./progress.ts";
import { type Asked, Failure } from "./reach.ts";
import { short } from "./table.ts";

export const importFrom = async (
  path: string,
  options: ImportOptions,
  ...[operations, { signal }]: readonly [Asked, Pick<Call, "signal">]
): Promise<number> => {
  const bundle = path === "-" ? await spooled(signal) : await opened(path);
  try {
    const report = await showing("import", (progress) =>
      importBundle({ bundle, operations, content: operations.content, as: options.as, signal, progress }),
    );
    print(options, report, printReport);
    return report.images.every(({ outcome }) => outcome !== "held") ? 0 : 1;
  } finally {
    await bundle.close();
  }
};

const opened = (path: string): Promise<Bundle> =>
  openBundle(path).catch((error: NodeJS.ErrnoException) => {
    throw error.code === undefined ? error : new Failure(2, `cannot read ${path}: ${whyUnread(error)}`);
  });

/** What is read here and there has to lie somewhere: in a file without a name, which goes with this process. */
const spooled = async (signal: AbortSignal): Promise<Bundle> => {
  if (process.stdin.isTTY) throw new Failure(2, "- is for a bundle that comes in by a pipe: `… | layover import -`");
  const path = join(tmpdir(), `layover-import-${randomUUID()}`);
  const file = await open(path, "wx+", 0o600);
  try {
    await unlink(path);
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
      signal.throwIfAborted();
      await file.writeFile(chunk);
    }
  } catch (error) {
    await file.close();
    const isFull = (error as NodeJS.ErrnoException).code === "ENOSPC";
    throw isFull
      ? new Error(`the bundle does not fit into ${tmpdir()}: TMPDIR=… leads elsewhere, or import it from a file`)
      : error;
  }
  return tarBundle(file, "stdin");
};

const printReport = ({ images, sent, held, readers }: ImportReport): string => {
  const lines = images.map((image) => {
    const before = "before" in image && image.outcome !== "same" ? `  ${short(image.before ?? "")} →` : "";
    const why = "why" in image && image.why !== undefined ? `: ${image.why}` : "";
    return `${image.reference}  ${image.outcome}${why}${before}${image.reference.includes("@") ? "" : `  ${short(image.digest)}`}\n`;
  });
  const total = `${sent.count} blobs taken in, ${about(sent.bytes)}; ${held.count} were here already, ${about(held.bytes)}\n`;
  return [...lines, total, ...readers.map(({ site, readers: who }) => `${site}: ${READERS[who]}\n`)].join("");
};

const READERS = {
  all: "all who reach this Layover may read it",
  users: "whoever logs in may read it",
  upstream: "its registry says who may read it, as ever",
  "nobody new":
    "it is offline, and nobody can be asked who may read: only who could before. `access: shared` opens what is held to all who reach this Layover",
} as const satisfies Record<ImportReport["readers"][number]["readers"], string>;
