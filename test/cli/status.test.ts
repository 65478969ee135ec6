import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Status } from "../../src/admin/answers.ts";
import { printStatus } from "../../src/cli/status-print.ts";
import { Front, freePort } from "../front.ts";
import { emptyFolder, layover } from "./command.ts";

describe("status", () => {
  it("says how the server is", async () => {
    const front = new Front("http://127.0.0.1:9", {});
    await front.start({ listen: { admin: `127.0.0.1:${await freePort()}` } });
    const { code, stdout, stderr } = await layover(["status"], front.folder);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^layover {5}\d+\.\d+\.\d+, started \d+ s ago, ready\ndata {8}\/.*\/data\n/);
    const json = JSON.parse((await layover(["status", "--json"], front.folder)).stdout) as Status;
    expect(json).toMatchObject({ ready: true, work: [] });
  });

  it("says that none runs", async () => {
    const cwd = emptyFolder();
    const listening = { LAYOVER_LISTEN_ADMIN: `127.0.0.1:${await freePort()}` };
    const never = await layover(["status"], cwd, listening);
    expect(never).toEqual({ code: 3, stdout: "", stderr: expect.stringContaining("or has never run\n") });
    mkdirSync(join(cwd, "data"));
    writeFileSync(join(cwd, "data/admin.token"), "x".repeat(43));
    const { code, stderr } = await layover(["status"], cwd, listening);
    expect(code).toBe(3);
    expect(stderr).toMatch(/^layover: no Layover runs here that could be asked: nothing listens at http:\/\/127\.0\.0\.1:\d+\n$/);
  });

  it("is printed with what is under way and what is wrong", () => {
    const now = Date.parse("2026-01-01T10:00:00Z");
    const work = [
      { operation: "verify", since: "2026-01-01T09:50:00Z", progress: { done: 10, total: 40, unit: "blobs" } as const },
      { operation: "warm", since: "2026-01-01T09:59:58Z" },
    ];
    const notes = ["nothing new is kept: no room"];
    const status = { version: "1.0.0", startedAt: "2025-12-30T10:00:00Z", uptimeMs: 1, data: "/d", ready: false, notes, work };
    expect(printStatus(status, now)).toBe(`layover     1.0.0, started 2 d ago, not ready
            nothing new is kept: no room
data        /d
under way   verify, begun 10 min ago: 10 of 40 blobs (25 %)
under way   warm, begun 2 s ago
`);
  });
});
