// `layover mirror` as a user or a CI job runs it: its tables and its exit statuses, against a server that runs.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { urlOf } from "../admin/asking.ts";
import { hold, status } from "../faults/behaviours.ts";
import { type FaultUpstream, faultUpstream } from "../faults/upstream.ts";
import { Front, freePort, HOST } from "../front.ts";
import { emptyFolder, layover, type Outcome } from "./command.ts";

type Run = (...args: string[]) => Promise<Outcome>;

/** Commands run elsewhere, and reach it as those on another machine do. */
const serve = async (mirror: readonly object[]): Promise<{ upstream: FaultUpstream; front: Front; run: Run }> => {
  const upstream = await faultUpstream();
  const front = new Front(upstream.url.origin, {});
  await front.start({ more: { mirror } });
  const there = ["--server", urlOf(front), "--token-file", join(front.folder, "data/admin.token")];
  return { upstream, front, run: (...args) => layover(["mirror", ...args, ...there], emptyFolder()) };
};

const APP = { name: "app", source: `${HOST}/acme/app`, backup: "{{tag}}-{{run}}" };
const BASE = { name: "base", source: `${HOST}/acme/base` };

describe("mirror", () => {
  it("checks, syncs and tells of it, with exit statuses for CI", async () => {
    const { upstream, run } = await serve([APP, BASE]);
    const first = upstream.content.seed({ repo: "acme/app", tag: "v1" });
    upstream.content.seed({ repo: "acme/base", tag: "v1" });
    const short = (digest: string) => digest.slice(0, 19);
    const checked = await run("check", "--exit-code");
    expect(checked).toMatchObject({ code: 4, stderr: "" });
    expect(checked.stdout).toMatch(/^ENTRY +IMAGE +CHANGE +UPSTREAM/);
    expect(checked.stdout).toContain(`${HOST}/acme/app:v1   missing  ${short(first.top.digest)}`);
    expect(checked.stdout).toMatch(/^2 entries: 2 missing\n/m);
    expect((await run("check")).code).toBe(0);

    const synced = await run("sync", "--run", "41");
    expect(synced).toMatchObject({ code: 0, stdout: expect.stringMatching(/^app: 1 done; .* fetched \(run 41\)$/m) });
    expect(await run("check", "--exit-code")).toMatchObject({ code: 0, stdout: "2 entries: 2 same\n" });
    expect((await run("check", "--all")).stdout).toContain("same");

    const second = upstream.content.seed({ repo: "acme/app", tag: "v1" });
    const moved = await run("sync", "app", "--run", "42", "--json");
    expect(JSON.parse(moved.stdout)).toMatchObject({
      entries: [{ report: { tags: [{ outcome: "done", upstream: second.top.digest, backup: "v1-42" }] } }],
    });
    const told = await run("status");
    expect(told).toMatchObject({ code: 0, stderr: "" });
    expect(told.stdout).toMatch(/^app +by command +- .* ago +1 done/m);
  });

  it("fails where anything fails, and only then", async () => {
    const { upstream, run } = await serve([APP, BASE]);
    upstream.content.seed({ repo: "acme/app", tag: "v1" });
    upstream.content.seed({ repo: "acme/base", tag: "v1" });
    upstream.fault(/acme\/base\//, status(500));
    const checked = await run("check");
    expect(checked).toMatchObject({ code: 1, stdout: expect.stringMatching(/^base: .*UPSTREAM/m) });
    expect(await run("check", "app")).toMatchObject({ code: 0 });
    const synced = await run("sync");
    expect(synced).toMatchObject({ code: 1, stdout: expect.stringMatching(/^app: 1 done[\s\S]*^base: failed;/m) });
    const now = await run("status");
    expect(now.stdout).toMatch(/^base .* never +failed$/m);
  });

  it("stops at a `pre` hook, and says what that said", async () => {
    const { upstream, run } = await serve([{ ...BASE, hooks: { pre: "echo found a hole; exit 3" } }]);
    upstream.content.seed({ repo: "acme/base", tag: "v1" });
    const synced = await run("sync");
    expect(synced).toMatchObject({ code: 1, stdout: expect.stringContaining("missing stopped") });
    expect(synced.stdout).toContain(`${HOST}/acme/base:v1: its hook said\n  found a hole\n`);
  });

  it("only begins a sync, or waits for so long", async () => {
    const { upstream, run } = await serve([BASE]);
    upstream.content.seed({ repo: "acme/base", tag: "v1" });
    const { promise, resolve } = Promise.withResolvers<void>();
    upstream.fault(/\/blobs\//, hold(promise));
    expect(await run("sync", "--no-wait")).toMatchObject({ code: 0, stdout: expect.stringMatching(/^base: goes on \(run /) });
    expect(await run("sync", "--wait", "100ms")).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^base: goes on \(run .*, which was under way already\)/),
    });
    expect((await run("status")).stdout).toContain("under way, 0 of 1");
    resolve();
    expect(await run("sync", "--wait", "15s")).toMatchObject({ code: 0 });
  });

  it("is used wrongly, or there is nobody to ask", async () => {
    const { run } = await serve([BASE]);
    expect(await run("sync", "nothing")).toMatchObject({ code: 2, stderr: expect.stringContaining('there are "base"') });
    expect(await run("sync", "--wait", "soon")).toMatchObject({ code: 2, stderr: expect.stringContaining("--wait: expected") });
    expect(await run("sync", "--run", "4 2")).toMatchObject({ code: 2, stderr: expect.stringContaining("run: expected") });
    const folder = emptyFolder();
    const alone = (...args: string[]) => layover(["mirror", ...args], folder, { LAYOVER_LISTEN_ADMIN: "127.0.0.1:9" });
    expect(await alone("sync")).toMatchObject({ code: 3 });
    expect(await alone("check")).toMatchObject({ code: 3 });
    expect(await alone("status")).toMatchObject({ code: 2, stderr: expect.stringContaining("holds nothing yet") });
  });

  it("tells of the store alone what it knows", async () => {
    const { upstream, front, run } = await serve([BASE]);
    upstream.content.seed({ repo: "acme/base", tag: "v1" });
    await run("sync");
    await front.stop();
    const told = await layover(["mirror", "status", "-c", join(front.folder, "layover.yaml")], front.folder);
    expect(told).toMatchObject({ code: 0, stdout: expect.stringMatching(/^base +by command .* 1 done/m) });
  });

  it("asks the server whose list has become wrong, and the store alone only with one that is right", async () => {
    const upstream = await faultUpstream();
    const front = new Front(upstream.url.origin, {});
    const files = { "mirror.yaml": `- ${HOST}/acme/app\n`.replace("- ", "- source: ") };
    await front.start({ listen: { admin: `127.0.0.1:${await freePort()}` }, files, more: { mirror: "./mirror.yaml" } });
    writeFileSync(join(front.folder, "mirror.yaml"), "");
    const status = () => layover(["mirror", "status"], front.folder);
    const warning = "warning: mirror.yaml: is empty: a list without entries is written []\n";
    expect(await status()).toMatchObject({ code: 0, stdout: expect.stringContaining(`${HOST}/acme/app`), stderr: warning });
    expect(await layover(["status"], front.folder)).toMatchObject({ code: 0, stderr: warning });
    await front.stop();
    const alone = await status();
    expect(alone).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringMatching(/^warning: .*\nlayover: the list .* is not right/),
    });
  });
});
