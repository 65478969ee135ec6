import { describe, expect, it } from "vitest";
import { mirrorProgress } from "../../src/admin/mirror-progress.ts";
import type { SyncProgress } from "../../src/mirror/outcome.ts";

const none: SyncProgress = { step: "listing", done: 0, fetched: 0, images: [] };
const copying: SyncProgress = {
  ...none,
  step: "copying",
  total: 2,
  images: [{ name: "app", step: "copying", done: 1, total: 2 }],
};

describe("the step of several syncs", () => {
  it.each([
    ["what is still to be listed, where nothing is copied", [{ ...none, step: "tidying" }, none], "listing"],
    ["nothing, while anything is copied", [{ ...none, step: "tidying" }, copying], undefined],
    ["the last, when all have come to it", [{ ...none, step: "tidying", total: 0 }], "tidying"],
    ["nothing, where nothing has begun", [undefined], undefined],
  ] as const)("is %s", (_, all, at) => {
    expect(mirrorProgress(all).at).toBe(at);
  });
});
