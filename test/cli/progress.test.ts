import { describe, expect, it } from "vitest";
import type { Progress } from "../../src/admin/answers.ts";
import { showing } from "../../src/cli/progress.ts";

const written = async (isTTY: boolean, steps: readonly (readonly [number, Progress])[]): Promise<string> => {
  let text = "";
  let now = 0;
  const out = { isTTY, columns: 40, write: (piece: string) => (text += piece) };
  const work = async (tell: (progress: Progress) => void) => {
    for (const [at, progress] of steps) {
      now = at;
      tell(progress);
    }
  };
  await showing("verify", work, out, () => now);
  return text;
};

const blobs = (done: number): Progress => ({ done, total: 2_000, unit: "blobs" });

describe("progress", () => {
  it("is a line every few seconds for a log, and nothing for what is soon over", async () => {
    expect(await written(false, [[10, blobs(1)]])).toBe("");
    const steps = [
      [4_999, blobs(1)],
      [5_000, blobs(500)],
      [9_000, blobs(900)],
      [10_000, blobs(1_999)],
    ] as const;
    expect(await written(false, steps)).toBe("verify: 500 of 2,000 blobs (25 %)\nverify: 1,999 of 2,000 blobs (99 %)\n");
  });

  it("is one line on a terminal, as wide as it is, and gone in the end", async () => {
    const long: Progress = { done: 3 * 2 ** 30, unit: "bytes", at: "ghcr.io/acme/application:1" };
    const text = await written(true, [
      [0, blobs(1)],
      [50, blobs(2)],
      [100, long],
    ]);
    expect(text).toBe("\r\x1b[Kverify: 1 of 2,000 blobs (0 %)\r\x1b[Kverify: 3.00 GiB  ghcr.io/acme/applicat\r\x1b[K");
  });

  it("leaves the terminal's line when the work fails", async () => {
    let text = "";
    const out = { isTTY: true, write: (piece: string) => (text += piece) };
    const failing = showing(
      "gc",
      async (tell) => {
        tell({ done: 0, total: 0, unit: "blobs" });
        throw new Error("no");
      },
      out,
    );
    await expect(failing).rejects.toThrow("no");
    expect(text).toBe("\r\x1b[Kgc: 0 of 0 blobs\r\x1b[K");
  });
});
