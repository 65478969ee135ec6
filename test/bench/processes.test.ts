import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { addUp, cpuOf, memoryOf, parsePages, parseStat, tree } from "./processes.ts";

const ROLLUP = `00400000-7ffe1 ---p 00000000 00:00 0 [rollup]
Rss:               60000 kB
Pss:               30000 kB
Pss_Dirty:         10000 kB
Shared_Clean:      39000 kB
Shared_Dirty:       1000 kB
Private_Clean:      5000 kB
Private_Dirty:     15000 kB
`;

describe("what a process tree costs", () => {
  it("finds the CPU seconds behind a name with blanks and brackets", () => {
    const stat = `42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 7 3 20 0 11 0 100 0 0`;
    expect(parseStat(stat)).toEqual({ own: 2, ended: 0.1 });
    expect(parseStat("")).toEqual({ own: 0, ended: 0 });
  });

  it("counts a shared page once", () => {
    const pages = parsePages(ROLLUP);
    expect(pages).toEqual({ rss: 61.44, pss: 30.72, own: 20.48, shared: 40.96 });
    const all = addUp([pages, pages]);
    expect(all.rss).toBeCloseTo(122.88);
    expect(all.once).toBeCloseTo(2 * 20.48 + 40.96);
    expect(addUp([])).toEqual({ rss: 0, pss: 0, once: 0 });
  });

  it("sees a process, its child, their CPU and their memory", async () => {
    // a shell that works and then has a child
    const child = spawn("sh", ["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo ready; sleep 30 & wait"]);
    try {
      await once(child.stdout, "data");
      await expect.poll(() => tree(child.pid!)).toHaveLength(2);
      expect(await cpuOf(child.pid!)).toBeGreaterThan(0);
      const { rss, once: paged } = await memoryOf(child.pid!);
      expect(paged).toBeGreaterThan(0.1);
      expect(paged).toBeLessThanOrEqual(rss);
    } finally {
      for (const pid of await tree(child.pid!)) process.kill(pid, "SIGKILL");
    }
  });
});
