// Real commands in real process groups.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Logger, silent } from "../../src/lib/log.ts";
import { type HookAbout, runHook } from "../../src/mirror/hook.ts";
import type { HookCommand } from "../../src/mirrors.ts";
import { emptyFolder } from "../cli/command.ts";

const OLD = `sha256:${"0".repeat(64)}`;
const NEW = `sha256:${"1".repeat(64)}`;
const source = { site: "registry.example", repository: "acme/app", tag: "1" };
const about = (more: Partial<HookAbout["tag"]> = {}): HookAbout => ({
  hook: "pre",
  run: "4711",
  tag: { entry: "apps", source, change: "moved", now: OLD, upstream: NEW, ...more },
});
const NEVER = new AbortController().signal;
const run = (command: HookCommand, { at = about(), signal = NEVER, timeout = 20_000, log = silent } = {}) =>
  runHook(command, at, { signal, timeout, log });
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    // a zombie that its reaper has not come to yet is none
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
};

describe("a hook", () => {
  it("is told of its tag by its environment and by its input, and of nothing that is ours", async () => {
    process.env["LAYOVER_ADMIN_TOKEN"] = "secret-token";
    process.env["REGISTRY_PASSWORD"] = "secret-password";
    try {
      const target = { site: "images.example", repository: "mirror/app", tag: "one" };
      const { ok, output } = await run("env | sort; cat", { at: about({ target, created: "2026-01-01T00:00:00.000Z" }) });
      expect(ok).toBe(true);
      const lines = output.split("\n");
      expect(lines.filter((line) => line.startsWith("LAYOVER_"))).toEqual([
        "LAYOVER_ENTRY=apps",
        "LAYOVER_HOOK=pre",
        `LAYOVER_IMAGE=images.example/mirror/app@${NEW}`,
        `LAYOVER_NEW_DIGEST=${NEW}`,
        `LAYOVER_OLD_DIGEST=${OLD}`,
        "LAYOVER_REPOSITORY=acme/app",
        "LAYOVER_RUN=4711",
        "LAYOVER_SITE=registry.example",
        "LAYOVER_TAG=1",
        "LAYOVER_TARGET_REPOSITORY=mirror/app",
        "LAYOVER_TARGET_SITE=images.example",
        "LAYOVER_TARGET_TAG=one",
      ]);
      expect(output).toContain(`PATH=${process.env["PATH"]}`);
      expect(output).not.toContain("secret");
      expect(JSON.parse(lines.at(-1)!)).toEqual({
        ...{ hook: "pre", entry: "apps", run: "4711", source, target, oldDigest: OLD, newDigest: NEW },
        ...{ image: `images.example/mirror/app@${NEW}`, created: "2026-01-01T00:00:00.000Z" },
      });
    } finally {
      delete process.env["LAYOVER_ADMIN_TOKEN"];
      delete process.env["REGISTRY_PASSWORD"];
    }
  });

  it("of a new tag has no old digest; where it is not told another target, the source is it", async () => {
    const { output } = await run('echo "<$LAYOVER_OLD_DIGEST> $LAYOVER_IMAGE $LAYOVER_TARGET_TAG"', {
      at: { hook: "post", run: "1", tag: { entry: "apps", source, change: "missing", upstream: NEW } },
    });
    expect(output).toBe(`<> registry.example/acme/app@${NEW} 1`);
  });

  it("takes no word of upstream's for a command", async () => {
    const folder = emptyFolder();
    const evil = `$(touch ${folder}/a);\`touch ${folder}/b\`;"'; touch ${folder}/c #`;
    const at = about({ source: { ...source, tag: evil } });
    expect((await run('echo "$LAYOVER_TAG"', { at })).output).toBe(evil);
    expect((await run(["/bin/echo", "$LAYOVER_TAG", "a b"], { at })).output).toBe("$LAYOVER_TAG a b");
    expect(["a", "b", "c"].filter((name) => existsSync(join(folder, name)))).toEqual([]);
  });

  it("fails with its status, with its signal, and where it cannot be started", async () => {
    expect(await run("echo bad image; exit 3")).toEqual({ ok: false, output: "bad image", why: "it ended with 3" });
    expect(await run("kill -KILL $$")).toEqual({ ok: false, output: "", why: "it was ended by SIGKILL" });
    expect(await run(["/no/such/program"])).toMatchObject({
      ok: false,
      why: "/no/such/program cannot be started: there is no such program",
    });
    expect(await run(["/etc/passwd"])).toMatchObject({ ok: false, why: expect.stringContaining("may not run it") });
    expect((await run(["echo", "a\0b"])).why).toMatch(/cannot be started/);
    expect((await run([])).why).toMatch(/cannot be started/);
  });

  it("may leave unread what it is told, and say as much as it likes: the last of it is kept, plainly", async () => {
    const big = about({ source: { ...source, tag: "x".repeat(100_000) } });
    expect(await run(["true"], { at: big })).toEqual({ ok: true, output: "" });
    const { output } = await run(
      "echo first; head -c 5000000 /dev/zero | tr '\\0' x; printf '\\n\\033[31mred\\033[0m\\007\\r\\n'; echo last >&2",
    );
    expect(output.length).toBeLessThanOrEqual(16 * 1024);
    expect(output.length).toBeGreaterThan(16_000);
    expect(output).not.toContain("first");
    expect(output.slice(-9)).toBe("\nred\nlast");
  });
});

describe("a hook that does not end", () => {
  it("is ended in time, with what it has started", async () => {
    const { ok, output, why } = await run("sleep 300 & echo $!; sleep 300 > /dev/null 2>&1 & echo $!; wait", { timeout: 300 });
    expect({ ok, why }).toEqual({ ok: false, why: "it took more than 0.3 s" });
    const pids = output.split("\n").map(Number);
    expect(pids).toHaveLength(2);
    await expect.poll(() => pids.filter(isAlive)).toEqual([]);
  });

  it("and does not listen is killed, 5 s later", async () => {
    const began = performance.now();
    const { why, output } = await run("trap '' TERM; (trap '' TERM; sleep 300 & echo $!; wait; sleep 300) & wait; sleep 300", {
      timeout: 200,
    });
    const took = performance.now() - began;
    expect(why).toBe("it took more than 0.2 s");
    expect(took).toBeGreaterThan(5_000);
    expect(took).toBeLessThan(9_000);
    await expect.poll(() => isAlive(Number(output))).toBe(false);
  }, 15_000);

  it("has the time to put things right when it is told to end", async () => {
    const leave = new AbortController();
    const file = join(emptyFolder(), "ready");
    const command = `trap 'sleep 0.3; echo tidy; exit 0' TERM; echo ready; touch ${file}; while :; do sleep 0.05; done`;
    const running = run(command, { signal: leave.signal });
    await expect.poll(() => existsSync(file)).toBe(true);
    leave.abort();
    const { ok, output, why } = await running;
    expect({ ok, why }).toEqual({ ok: false, why: "it was stopped: nobody waits for it any more" });
    expect(output).toMatch(/^ready\n(.*\n)?tidy$/);
  });

  it("is not even started when nobody waits for it", async () => {
    const file = join(emptyFolder(), "ran");
    expect(await run(`touch ${file}`, { signal: AbortSignal.abort() })).toMatchObject({ ok: false });
    expect(existsSync(file)).toBe(false);
  });

  it("but has left somebody who holds its outputs is over all the same", async () => {
    const began = performance.now();
    const { ok, output } = await run("sleep 300 & echo $!");
    expect(ok).toBe(true);
    expect(performance.now() - began).toBeLessThan(5_000);
    await expect.poll(() => isAlive(Number(output))).toBe(false);
  });
});

describe("hooks", () => {
  it("run four at a time", async () => {
    const folder = emptyFolder();
    const command = `touch ${folder}/$LAYOVER_TAG; ls ${folder} | wc -l; sleep 0.3; rm ${folder}/$LAYOVER_TAG`;
    const ends = await Promise.all(
      Array.from({ length: 10 }, (_, nth) => run(command, { at: about({ source: { ...source, tag: `t${nth}` } }) })),
    );
    expect(ends.every(({ ok }) => ok)).toBe(true);
    const most = Math.max(...ends.map(({ output }) => Number(output)));
    expect(most).toBeLessThanOrEqual(4);
    expect(most).toBeGreaterThan(1);
  });

  it("are told of in the log: what failed with the end of what it said", async () => {
    const lines: unknown[] = [];
    const note = (fields: object, text: string) => lines.push({ ...fields, text });
    const log = { ...silent, info: note, warn: note } as unknown as Logger;
    await run("true", { log });
    await run("echo one; echo two; exit 1", { log });
    const known = { hook: "pre", entry: "apps", run: "4711", site: "registry.example", repo: "acme/app", tag: "1" };
    expect(lines).toEqual([
      { ...known, ms: expect.any(Number), text: "a hook of the mirror is done" },
      { ...known, ms: expect.any(Number), why: "it ended with 1", output: "one two", text: "a hook of the mirror has failed" },
    ]);
  });
});
