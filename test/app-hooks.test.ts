// A whole front end whose mirror asks before it moves a tag, and tells of what it does: hooks, a webhook and the metrics together.
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { remoteOperations } from "../src/admin/remote.ts";
import type { ChangeMessage, FailureMessage, MirrorMessage } from "../src/mirror/message.ts";
import { ask, bearer, tokenOf, urlOf } from "./admin/asking.ts";
import { readExposition } from "./admin/exposition.ts";
import { faultUpstream } from "./faults/upstream.ts";
import { Front, freePort, HOST } from "./front.ts";
import { receiver } from "./receiver.ts";
import { quiet } from "./suites/operations.ts";

const MIRRORED = "/v2/acme/app/manifests/v1";

const setUp = async () => {
  const upstream = await faultUpstream();
  const { heard, url } = await receiver();
  const front = new Front(upstream.url.origin, {});
  const http = await freePort();
  const path = (name: string) => join(front.folder, name);
  // what it scans it pulls through the very Layover, by a digest that no tag stands for yet
  const manifest = `http://127.0.0.1:${http}/v2/$LAYOVER_SITE/$LAYOVER_REPOSITORY/manifests/$LAYOVER_NEW_DIGEST`;
  const pre = `curl -fsS --max-time 10 -o ${path("scanned")} "${manifest}" && echo "scanned $LAYOVER_IMAGE" && test -e ${path("allowed")}`;
  const notify = [{ url: url("/hook").href, secret: "s3cret" }];
  const start = (command: string) => {
    const hooks = { pre: command, post: ["sh", "-c", `cat > ${path("moved")}`], timeout: "20s" };
    const mirror = [{ name: "app", source: `${HOST}/acme/app`, hooks }];
    return front.start({ listen: { http: [`127.0.0.1:${http}`] }, more: { mirror, notify } });
  };
  await start(pre);
  const operations = () => remoteOperations({ url: new URL(urlOf(front)), token: tokenOf(front) });
  return {
    ...{ upstream, front, path, operations },
    restart: async (command: string) => {
      await front.stop();
      await start(command);
    },
    sync: async (run: string) => (await operations().mirrorSync({ entries: ["app"], run }, quiet)).entries[0]!.report!,
    served: async () => (await front.ask(MIRRORED)).headers["docker-content-digest"],
    told: () => heard.map(({ body }) => JSON.parse(body) as MirrorMessage),
    counted: async (name: string) => {
      const families = readExposition((await ask(front, "/metrics", { headers: bearer(front) })).text, "plain");
      return families.get(`layover_mirror_${name}`)?.samples.get(`layover_mirror_${name}${JSON.stringify({ entry: "app" })}`);
    },
  };
};

describe("a tag of the mirror", () => {
  it("moves when its pre hook has seen the image and found it good, and everybody hears of it", async () => {
    const { upstream, path, sync, served, told, counted } = await setUp();
    const first = upstream.content.seed({ repo: "acme/app", tag: "v1", layers: 1_000 });
    writeFileSync(path("allowed"), "");
    expect(await sync("1")).toMatchObject({ isGood: true, tags: [{ outcome: "done", change: "missing" }] });
    expect(await served()).toBe(first.top.digest);

    const second = upstream.content.seed({ repo: "acme/app", tag: "v1", layers: 2_000 });
    rmSync(path("allowed"));
    rmSync(path("moved"));
    const image = `${HOST}/acme/app@${second.top.digest}`;
    expect(await sync("2")).toMatchObject({
      isGood: false,
      tags: [
        {
          outcome: "stopped",
          now: first.top.digest,
          upstream: second.top.digest,
          hookOutput: expect.stringContaining(`scanned ${image}`),
        },
      ],
    });
    expect(readFileSync(path("scanned"))).toEqual(second.top.bytes);
    expect(await served()).toBe(first.top.digest);
    expect(existsSync(path("moved"))).toBe(false);

    writeFileSync(path("allowed"), "");
    expect(await sync("3")).toMatchObject({ isGood: true, tags: [{ outcome: "done", change: "moved" }] });
    expect(await served()).toBe(second.top.digest);
    expect(JSON.parse(readFileSync(path("moved"), "utf8"))).toMatchObject({
      ...{ hook: "post", entry: "app", run: "3", image, oldDigest: first.top.digest, newDigest: second.top.digest },
    });

    await expect.poll(() => told().map(({ event, run }) => `${run} ${event}`)).toEqual(["1 change", "2 failure", "3 change"]);
    const [, failure, change] = told() as [MirrorMessage, FailureMessage, ChangeMessage];
    expect(failure).toMatchObject({
      outcome: "stopped",
      tag: "v1",
      from: first.top.digest,
      to: second.top.digest,
      code: "HOOK_FAILED",
    });
    expect(change.changes).toMatchObject([{ site: HOST, repository: "acme/app", tag: "v1", from: first.top.digest }]);

    expect(await counted("changes_total")).toBe(2);
    expect(await counted("failures_total")).toBe(1);
    expect(await counted("last_run_ok")).toBe(1);
    expect(await counted("fetched_bytes_total")).toBeGreaterThan(3_000);
    expect((await counted("last_good_timestamp_seconds"))! * 1_000).toBeGreaterThan(Date.now() - 60_000);
  }, 30_000);

  it("stays what it is when Layover is stopped while its hook runs; the hook ends with it, and the next sync begins it anew", async () => {
    const { upstream, front, path, restart, operations, served } = await setUp();
    upstream.content.seed({ repo: "acme/app", tag: "v1", layers: 1_000 });
    await restart(`sleep 300 & echo $! > ${path("pid")}; wait`);
    const cut = operations().mirrorSync({ entries: ["app"] }, quiet);
    cut.catch(() => undefined);
    await expect.poll(() => existsSync(path("pid")) && readFileSync(path("pid"), "utf8")).toMatch(/^\d+\n$/);
    const pid = Number(readFileSync(path("pid"), "utf8"));
    await front.stop();
    await expect.poll(() => isAlive(pid)).toBe(false);
    await restart("true");
    await operations().mirrorSync({ entries: ["app"] }, quiet);
    expect(await served()).toBeDefined();
    expect(existsSync(path("moved"))).toBe(true);
  }, 30_000);
});

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    // one that its reaper has not come to yet is none
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
};
