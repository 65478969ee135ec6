import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Status } from "../../src/admin/answers.ts";
import { printStatus } from "../../src/cli/status-print.ts";
import { Front, freePort, HOST } from "../front.ts";
import { emptyFolder, layover } from "./command.ts";

const GIB = 2 ** 30;
const upstream = (more: object) => ({
  origin: "https://up.example",
  state: "up" as const,
  running: 0,
  waiting: 0,
  budgets: [],
  ...more,
});

describe("status", () => {
  it("says how the server is", async () => {
    const front = new Front("http://127.0.0.1:9", {});
    await front.start({ listen: { admin: `127.0.0.1:${await freePort()}` } });
    const { code, stdout, stderr } = await layover(["status"], front.folder);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^layover {5}\d+\.\d+\.\d+, started \d+ s ago, ready\ndata {8}\/.*\/data\n/);
    const json = JSON.parse((await layover(["status", "--json"], front.folder)).stdout) as Status;
    expect(json).toMatchObject({ ready: true, work: [], sites: [], flights: { underWay: [], counts: { begun: 0 } } });
    expect(json.room.blobs).toBe(0);
    await layover(["warm", `${HOST}/acme/app:v1`], front.folder);
    const { sites } = JSON.parse((await layover(["status", "--json"], front.folder)).stdout) as Status;
    expect(sites).toMatchObject([
      { site: HOST, offline: false, upstreams: [{ origin: "http://127.0.0.1:9", running: 0, waiting: 0 }] },
    ]);
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
    const status: Status = {
      ...{ version: "1.0.0", startedAt: "2025-12-30T10:00:00Z", uptimeMs: 1, data: "/d", ready: false, work },
      notes: ["nothing new is kept: no room"],
      room: {
        ...{ blobs: 12_345, held: 3 * GIB, growing: 0, maxSize: 4 * GIB },
        ...{ free: 20 * GIB, total: 100 * GIB, left: GIB, full: false },
      },
      flights: {
        underWay: [{ digest: `sha256:${"a".repeat(64)}`, received: GIB / 2 }],
        counts: { begun: 7, joined: 30, resumed: 0 },
      },
      sites: [
        { site: "ghcr.io", offline: false, upstreams: [upstream({ running: 2, waiting: 5 })] },
        {
          site: "registry-1.docker.io",
          offline: false,
          upstreams: [
            upstream({ state: "unreachable", why: "refused", budgets: [{ limit: 100, remaining: 3 }, { retryInMs: 1_500 }] }),
          ],
        },
        { site: "corp.example", offline: true, upstreams: [] },
      ],
    };
    expect(printStatus(status, now)).toBe(`layover     1.0.0, started 2 d ago, not ready
            nothing new is kept: no room
data        /d
room        12,345 blobs, 3.00 GiB of 4.00 GiB held; 20.0 GiB free on the disk, room for 1.00 GiB more
flights     1, 512 MiB received under way; since the start 7 begun, 30 joined
under way   verify, begun 10 min ago: 10 of 40 blobs (25 %)
under way   warm, begun 2 s ago
upstream    ghcr.io: https://up.example is up; 2 requests under way, 5 waiting
upstream    registry-1.docker.io: https://up.example is unreachable (refused); 3 of 100 requests left; throttled for 2 s more
upstream    corp.example: offline by configuration
`);
  });
});
