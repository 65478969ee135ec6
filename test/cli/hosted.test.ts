// What commands say of a hosted site, which has no upstream to be asked or fetched from, and nothing that could be had again.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { hashSync } from "bcryptjs";
import { describe, expect, it } from "vitest";
import type { Explained, RefreshAnswer, Status, WarmAnswer } from "../../src/admin/answers.ts";
import { Front, freePort } from "../front.ts";
import { type Client, pushImage } from "../pushing.ts";
import { layover } from "./command.ts";

const SITE = "images.example";
const IMAGE = `${SITE}/acme/app:v1`;
const ALICE = { authorization: `Basic ${Buffer.from("alice:open").toString("base64")}` };

const started = async () => {
  const front = new Front("http://127.0.0.1:9", {}, { [SITE]: { kind: "local", users: "./htpasswd" } });
  writeFileSync(join(front.folder, "htpasswd"), `alice:${hashSync("open", 4)}\n`);
  await front.start({ listen: { admin: `127.0.0.1:${await freePort()}` } });
  const ask: Client = (method, path, more = {}) =>
    front.ask(path, { method, host: SITE, ...more, headers: { ...ALICE, ...more.headers } });
  return { front, ask };
};

const asJson = <T>({ stdout }: { stdout: string }): T => JSON.parse(stdout) as T;

describe("a hosted site", () => {
  it("is looked through and explained, with a server and without one", async () => {
    const { front, ask } = await started();
    const digest = await pushImage(ask, "acme/app", "v1");
    const explain = async () => asJson<Explained>(await layover(["explain", IMAGE, "--json"], front.folder));
    const running = await explain();
    expect(running).toMatchObject({
      ...{ upstream: "none", anonymous: "none", held: { digest, isHeld: true } },
      now: { outcome: "served", why: "it is hosted here, for whoever logs in" },
    });
    expect((await layover(["explain", IMAGE], front.folder)).stdout).toMatch(
      /\nupstream +none: the site is hosted here\nanybody +has to log in/,
    );
    expect((await layover(["cache", "ls", `${SITE}/acme/app`], front.folder)).stdout).toContain("v1");
    expect((await layover(["cache", "show", IMAGE], front.folder)).stdout).toContain(digest);
    const { sites } = asJson<Status>(await layover(["status", "--json"], front.folder));
    expect(sites).toEqual([{ site: SITE, offline: false, upstreams: [] }]);
    await front.stop();
    expect(await explain()).toEqual(running);
    const none = asJson<Explained>(await layover(["explain", `${SITE}/acme/app:none`, "--json"], front.folder));
    expect(none.now).toEqual({ outcome: "unreachable", why: "nothing is hosted under it" });
  });

  it("loses nothing by a command, and has nothing to be fetched", async () => {
    const { front, ask } = await started();
    const digest = await pushImage(ask, "acme/app", "v1");
    for (const reference of [IMAGE, `${SITE}/acme/app`, `${SITE}/acme/app@${digest}`])
      expect(await layover(["cache", "rm", reference], front.folder)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("what it holds is nowhere else"),
      });
    await layover(["cache", "gc"], front.folder);
    const warmed = await layover(["warm", IMAGE, "--json"], front.folder);
    expect(warmed.code).toBe(1);
    expect(asJson<WarmAnswer>(warmed).images[0]?.failures).toMatchObject([{ reference: IMAGE, code: "UNSUPPORTED" }]);
    const refreshed = await layover(["refresh", IMAGE, "--json"], front.folder);
    expect(refreshed.code).toBe(1);
    expect(asJson<RefreshAnswer>(refreshed).images).toMatchObject([{ outcome: "failed", failure: { code: "UNSUPPORTED" } }]);
    expect((await ask("GET", "/v2/acme/app/manifests/v1")).status).toBe(200);
  });
});
