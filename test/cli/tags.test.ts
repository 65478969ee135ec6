// `layover tags …` as people and scripts run it: against the server that runs, one elsewhere, and the store alone.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { HeldTag, TagDiff, TagHistory, TagPage } from "../../src/admin/tags-answers.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { tokenOf } from "../admin/asking.ts";
import { stockTags, TORN, V1, V2 } from "../admin/stock-tags.ts";
import { status } from "../faults/behaviours.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { Front, freePort, HOST } from "../front.ts";
import { emptyFolder, layover } from "./command.ts";

const APP = "ghcr.io/acme/app";
const short = (bytes: Buffer) => digestOf(bytes).slice(0, 19);

const stocked = async (settings: object = {}): Promise<string> => {
  const folder = emptyFolder();
  await stockTags(folder);
  writeFileSync(
    join(folder, "layover.yaml"),
    JSON.stringify({ listen: { admin: `127.0.0.1:${await freePort()}` }, ...settings }),
  );
  return folder;
};

describe("tags, of the store alone", () => {
  it("are listed, with their past, and rolled back by its lines", async () => {
    const cwd = await stocked();
    const ls = await layover(["tags", "ls", APP], cwd);
    expect({ code: ls.code, stderr: ls.stderr }).toEqual({ code: 0, stderr: "" });
    expect(ls.stdout).toMatch(
      /^TAG +DIGEST +MOVED +BY +MADE +SIZE +STAYS\n1 +sha256:[0-9a-f]{12} +\d+ d ago +pull +\d+ d ago +\S+ KiB\n/,
    );
    expect(ls.stdout).toMatch(/\n6 tags\n$/);
    const some = await layover(["tags", "ls", APP, "--limit", "1", "--json"], cwd);
    const page = JSON.parse(some.stdout) as TagPage;
    expect(page).toMatchObject({ tags: [{ tag: "1" }], next: "1" });
    const history = await layover(["tags", "history", `${APP}:1`], cwd);
    expect(history.stdout).toMatch(
      new RegExp(
        `^${APP}:1\n\n +DIGEST +MOVED +BY +MADE +HELD HERE\n1  ${short(V2)} \\(now\\)  2026-01-02T03:04:05Z  pull  2025-02-02T00:00:00Z  all of it\n2  ${short(V1)} +2026-01-02T03:04:04Z  pull  2025-01-01T00:00:00Z  all of it\n3 .* no\n$`,
      ),
    );
    const rolled = await layover(["tags", "rollback", `${APP}:1`, "2"], cwd);
    expect(rolled).toMatchObject({ code: 0, stderr: "" });
    expect(rolled.stdout).toBe(
      `${APP}:1  ${short(V2)}  →  ${short(V1)}\nit stays so until: layover tags unpin ${APP}:1\nbut while Layover is down or bypassed clients get what upstream says: failOpen: false of its site ends that\n`,
    );
    expect((await layover(["tags", "history", `${APP}:1`], cwd)).stdout).toMatch(
      new RegExp(`^${APP}:1\nheld by rollback, \\d+ s ago; until: layover tags unpin ${APP}:1\n\n.*\n1  ${short(V1)} \\(now\\)`),
    );
    expect((await layover(["cache", "ls", APP], cwd)).stdout).toMatch(/\n1 .*rollback, \d+ s ago\n/);
    expect((await layover(["cache", "show", `${APP}:1`], cwd)).stdout).toMatch(/\nheld by +rollback, /);
    const kept = await layover(["cache", "rm", `${APP}:1`], cwd);
    expect(kept).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("layover tags unpin") });
    const unpinned = await layover(["tags", "unpin", `${APP}:1`], cwd);
    expect(unpinned.stdout).toMatch(
      new RegExp(`^${APP}:1  ${short(V1)}  was held by a rollback since \\d+ s ago\nnow upstream is asked`),
    );
    expect(await layover(["tags", "unpin", `${APP}:1`], cwd)).toMatchObject({ code: 0 });
  });

  it("differ as they say", async () => {
    const cwd = await stocked();
    const { code, stdout } = await layover(["tags", "diff", `${APP}:1`], cwd);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      new RegExp(
        [
          `^${APP}:1\nfrom  ${digestOf(V1)}  made 2025-01-01T00:00:00.000Z\nto    ${digestOf(V2)}  made 2025-02-02T00:00:00.000Z\n`,
          `~ linux/amd64  ${short(V1)}  →  ${short(V2)}\n`,
          "  - created: 2025-01-01T00:00:00Z\n  \\+ created: 2025-02-01T00:00:00Z\n  \\+ user: app\n",
          "  - env VERSION: 1\n  \\+ env VERSION: 2\n  - label version: 1\n  \\+ label version: 2\n  \\+ port 80/tcp\n",
          "  = layers: 1, 4.88 KiB\n  - layer sha256:[0-9a-f]{12}  1000 B\n  \\+ layer sha256:[0-9a-f]{12}  1.95 KiB\n$",
        ].join(""),
      ),
    );
    const lost = await layover(["tags", "diff", `${APP}:1`, "3", "1"], cwd);
    expect(lost.stdout).toMatch(/\n\? from: manifest sha256:[0-9a-f]{12} is not held: nothing is known of it\n$/);
    expect(JSON.parse((await layover(["tags", "diff", `${APP}:1`, "--json"], cwd)).stdout) as TagDiff).toMatchObject({
      same: false,
    });
  });

  it("say with their exit status what went wrong", async () => {
    const cwd = await stocked();
    const torn = await layover(["tags", "rollback", `${APP}:torn`], cwd);
    expect(torn).toMatchObject({ code: 1, stdout: "" });
    expect(torn.stderr).toMatch(/^layover: .* lacks layer sha256:[0-9a-f]{64} \(not held\); `layover warm .*@sha256:.*--force/);
    const forced = await layover(["tags", "rollback", `${APP}:torn`, "--force"], cwd);
    expect(forced).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/not all of it is here.*\n {2}layer {2}sha256:.* not held\n$/),
    });
    const json = await layover(["tags", "pin", `${APP}:torn`, "--json"], cwd);
    expect(JSON.parse(json.stdout) as HeldTag).toMatchObject({ to: digestOf(TORN), hold: { kind: "pin" }, missingCount: 1 });
    expect(await layover(["tags", "rollback", `${APP}:only`], cwd)).toMatchObject({ code: 1, stdout: "" });
    expect(await layover(["tags", "history", `${APP}:never`], cwd)).toMatchObject({ code: 1, stdout: "" });
    for (const args of [
      ["rollback", `${APP}:1`, "9"],
      ["history", "nowhere.example/a:1"],
      ["pin", `${APP}@${digestOf(V1)}`],
    ])
      expect(await layover(["tags", ...args], cwd)).toMatchObject({ code: 2, stdout: "" });
  });
});

describe("tags, of a server", () => {
  it("go back at once, for whoever pulls, with upstream or without, and on with it when they are let go", async () => {
    const upstream = await faultUpstream();
    const old = upstream.content.seed({ repo: "acme/app", tag: "v1", index: true });
    const front = new Front(upstream.url.origin, { freshFor: "0s" });
    await front.start({ listen: { admin: `127.0.0.1:${await freePort()}` } });
    const pull = async ({ index, manifest, config, layers }: typeof old) => {
      const { headers } = await front.ask("/v2/acme/app/manifests/v1");
      const paths = [index!, manifest].map(({ digest }) => `manifests/${digest}`);
      paths.push(...[config, ...layers].map(({ digest }) => `blobs/${digest}`));
      const codes = [];
      for (const path of paths) codes.push((await front.ask(`/v2/acme/app/${path}`)).status);
      return [headers["docker-content-digest"], ...codes];
    };
    const all = ({ top }: typeof old) => [top.digest, 200, 200, 200, 200];
    expect(await pull(old)).toEqual(all(old));
    const now = upstream.content.seed({ repo: "acme/app", tag: "v1", index: true });
    expect(await pull(now)).toEqual(all(now));
    const elsewhere = emptyFolder();
    const server = ["--server", `http://${front.running.identity.admin!}`];
    const env = { LAYOVER_ADMIN_TOKEN: tokenOf(front) };
    const rolled = await layover(["tags", "rollback", `${HOST}/acme/app:v1`, ...server], elsewhere, env);
    expect(rolled).toMatchObject({ code: 0, stderr: "" });
    expect(await pull(old)).toEqual(all(old));
    const refreshed = await layover(["refresh", `${HOST}/acme/app:v1`, ...server], elsewhere, env);
    expect(refreshed.stdout).toContain("pinned");
    expect(await pull(old)).toEqual(all(old));
    const explained = await layover(["explain", `${HOST}/acme/app:v1`], front.folder);
    expect(explained.stdout).toMatch(/\nstays +by rollback, .*layover tags unpin registry.test\/acme\/app:v1\n/);
    const lift = upstream.fault(/./, status(503));
    expect(await pull(old)).toEqual(all(old));
    lift();
    const history = await layover(["tags", "history", `${HOST}/acme/app:v1`, "--json"], front.folder);
    expect((JSON.parse(history.stdout) as TagHistory).moves.map(({ reason, now: isNow }) => [reason, isNow])).toEqual([
      ["rollback", true],
      ["pull", false],
      ["pull", false],
    ]);
    expect(await layover(["tags", "unpin", `${HOST}/acme/app:v1`], front.folder)).toMatchObject({ code: 0 });
    expect(await pull(now)).toEqual(all(now));
  });

  it("are where they were rolled back to after kill -9", async () => {
    const cwd = await stocked({ listen: { dns: [], https: ["127.0.0.1:0"], http: [], admin: `127.0.0.1:${await freePort()}` } });
    const main = join(import.meta.dirname, "../../src/main.ts");
    const child = spawn(process.execPath, [main, "serve", "--only", "front"], { cwd, stdio: ["ignore", "pipe", "pipe"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    const ended = once(child, "exit");
    await expect.poll(async () => (await layover(["status"], cwd)).code, { timeout: 20_000, interval: 200 }).toBe(0);
    expect(await layover(["tags", "rollback", `${APP}:1`], cwd)).toMatchObject({ code: 0 });
    child.kill("SIGKILL");
    await ended;
    const history = JSON.parse((await layover(["tags", "history", `${APP}:1`, "--json"], cwd)).stdout) as TagHistory;
    expect(history).toMatchObject({ digest: digestOf(V1), hold: { kind: "rollback" } });
    expect(history.moves[0]).toMatchObject({ digest: digestOf(V1), reason: "rollback" });
  });
});
