import { describe, expect, it } from "vitest";
import type { Progress } from "../../src/admin/answers.ts";
import { barLines, bars } from "../../src/cli/bars.ts";

const MIB = 2 ** 20;
const progress: Progress = {
  ...{ done: 3, total: 12, unit: "images", fetched: 5 * MIB },
  parts: [
    { name: "registry.test/library/node:22", done: 3 * MIB, total: 4 * MIB, step: "copying" },
    { name: "registry.test/library/node-of-a-long-name:22", done: MIB, step: "copying" },
    { name: "registry.test/acme/app:1", done: MIB, total: MIB, step: "hook" },
  ],
};

describe("bars", () => {
  it("are a line for each thing and one for all", () => {
    expect(barLines("mirror sync", progress, 100, 24)).toEqual([
      "registry.test/library/node:22                 [===============     ]  75%  3.00 MiB of 4.00 MiB",
      "registry.test/library/node-of-a-long-name:22  [                    ]       1.00 MiB",
      "registry.test/acme/app:1                      [====================] 100%  hook",
      "mirror sync: 3 of 12 images (25 %), 5.00 MiB fetched",
    ]);
  });

  it.each([
    [1, 1],
    [10, 3],
    [40, 5],
    [79, 24],
    [400, 200],
  ])("fit into a terminal of %i columns and %i rows", (columns, rows) => {
    const lines = barLines("mirror sync", progress, columns, rows);
    expect(lines.length).toBeLessThanOrEqual(Math.max(1, rows - 2));
    for (const line of lines) expect(line.length).toBeLessThan(Math.max(2, columns));
  });

  it("are drawn over themselves, also where the terminal has broken them, and gone in the end", async () => {
    let text = "";
    const out = { isTTY: true, columns: 100, rows: 24, write: (piece: string) => (text += piece) };
    await bars(
      "sync",
      async (tell) => {
        tell(progress);
        out.columns = 50;
        await new Promise((resolve) => setTimeout(resolve, 150));
      },
      out,
    );
    // two of the four were wider than 50
    expect(text.split("\u001b[J").map((piece) => piece.split("\n").length - 1)).toEqual([0, 4, 4, 0]);
    expect(text).toContain("\u001b[7A\r\u001b[J");
    expect(text.endsWith("\u001b[4A\r\u001b[J")).toBe(true);
  });

  it("say nothing of what is soon over where there is no terminal, and leave a failure alone", async () => {
    let text = "";
    const out = { write: (piece: string) => (text += piece) };
    const work = async (tell: (progress: Progress) => void) => {
      tell(progress);
      throw new Error("no");
    };
    const failing = bars("sync", work, out);
    await expect(failing).rejects.toThrow("no");
    expect(text).toBe("");
  });
});
