// Log lines as another process reads them from ours: all of them, whole and in order, however ours ends and whatever the reader does.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";

const LOG = join(import.meta.dirname, "../../src/lib/log.ts");

/** A process that logs: `program` has `log`, and `say(from, to)`, which logs those numbers. */
const programOf = (program: string, format = "json"): string[] => [
  "--input-type=module",
  "--eval",
  `const { logger } = await import(${JSON.stringify(LOG)});
   const log = logger({ level: "info", format: "${format}" });
   const say = (from, to, more = "") => { for (let n = from; n < to; n += 1) log.info({ n, more }, "said"); };
   ${program}`,
];

interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
}

/** Reads its output after `wait` ms; what it writes to stderr is let go. */
const run = async (command: string, args: readonly string[], wait = 0): Promise<Outcome> => {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "ignore"] });
  const ended = new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.once("close", (code, signal) => resolve([code, signal])),
  );
  const late = setTimeout(() => child.kill("SIGKILL"), 15_000);
  await sleep(wait);
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  const [code, signal] = await ended;
  clearTimeout(late);
  return { code, signal, out: Buffer.concat(chunks).toString() };
};

const numbersOf = (out: string): number[] =>
  out
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { n: number }).n);

const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

describe("a log", () => {
  it.each([
    ["process.exit in the same turn", "say(0, 50); process.exit(3);", 3],
    ["an error that nobody catches", "setTimeout(() => { say(0, 50); throw new Error('lost'); });", 1],
    ["a rejection that nobody catches", "say(0, 50); Promise.reject(new Error('lost'));", 1],
    ["its natural end", "say(0, 50);", 0],
    ["lines said while it ends", "process.on('exit', () => say(25, 50)); say(0, 25); process.exit(0);", 0],
    ["turns of its event loop", "say(0, 10); setImmediate(() => { say(10, 20); setTimeout(() => say(20, 50), 5); });", 0],
    [
      "SIGTERM that is waited for",
      "process.once('SIGTERM', () => { say(25, 50); process.exit(0); }); setTimeout(() => 0, 9000); say(0, 25); process.kill(process.pid, 'SIGTERM');",
      0,
    ],
  ])("is whole and in order after %s", async (_what, program, code) => {
    const outcome = await run(process.execPath, programOf(program));
    expect(outcome.code).toBe(code);
    expect(numbersOf(outcome.out)).toEqual(upTo(50));
  });

  it("has in a file what is longer than any piece between what is short", async () => {
    const folder = await mkdtemp(join(tmpdir(), "log-"));
    const file = await open(join(folder, "log"), "a+");
    const [eval_, , program] = programOf(
      "for (let n = 0; n < 400; n += 1) say(n, n + 1, n % 40 === 7 ? '…'.repeat(400 * n) : 'short');",
    );
    const child = spawn(process.execPath, [eval_!, "--eval", program!], { stdio: ["ignore", file.fd, "ignore"] });
    const [code] = (await once(child, "close")) as [number];
    const out = await readFile(join(folder, "log"), "utf8");
    await file.close();
    await rm(folder, { recursive: true });
    expect(code).toBe(0);
    expect(numbersOf(out)).toEqual(upTo(400));
    expect(out.match(/…/g)?.length).toBe(400 * Array.from({ length: 10 }, (_, n) => n * 40 + 7).reduce((sum, n) => sum + n, 0));
  });

  // to find out whether it is a terminal makes a pipe one that does not block: then it says EAGAIN where it is full
  it.each(["json", "auto"])("waits for a reader that has stopped, and loses nothing (%s)", async (format) => {
    const outcome = await run(process.execPath, programOf("say(0, 20_000);", format), 1_500);
    expect(outcome.code).toBe(0);
    expect(numbersOf(outcome.out)).toEqual(upTo(20_000));
  });

  it.each(["json", "text"])(
    "whose reader has gone ends no process that does not log, and hangs none that does (%s)",
    async (format) => {
      const args = programOf(
        "for (let turn = 0; turn < 20; turn += 1) { say(0, 100); await new Promise((r) => setTimeout(r, 20)); }",
        format,
      );
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "ignore"] });
      child.stdout.destroy();
      const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
      const [, signal] = await new Promise<[number | null, string | null]>((resolve) =>
        child.once("exit", (...how) => resolve(how)),
      );
      clearTimeout(late);
      expect(signal).toBeNull();
    },
  );

  it.each(["json", "auto"])(
    "shares a full pipe with another process, and neither breaks the other's lines (%s)",
    async (format) => {
      const [eval_, , program] = programOf(
        "for (let turn = 0; turn < 100; turn += 1) { say(0, 100, '…'.repeat(100)); await new Promise(setImmediate); }",
        format,
      );
      const both = `"$0" ${eval_} --eval "$1" & "$0" ${eval_} --eval "$1" & wait`;
      const { out } = await run("sh", ["-c", both, process.execPath, program!], 1_000);
      const numbers = numbersOf(out);
      expect(numbers.length).toBe(20_000);
      expect(numbers.filter((n) => n === 99).length).toBe(200);
    },
  );
});
