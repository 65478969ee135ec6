// A whole front end whose site gives only what is mirrored, by the list in its file: what stands in it decides from the next request on.
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { remoteOperations } from "../src/admin/remote.ts";
import { tokenOf, urlOf } from "./admin/asking.ts";
import { faultUpstream } from "./faults/upstream.ts";
import { Front, HOST } from "./front.ts";
import { quiet } from "./suites/operations.ts";

describe("a site with onMissing: refuse", () => {
  it("gives what was synced as it was synced, refuses all else, and follows the list", async () => {
    const upstream = await faultUpstream();
    const front = new Front(upstream.url.origin, { onMissing: "refuse" });
    const list = (...tags: string[]) => JSON.stringify([{ name: "app", source: `${HOST}/acme/app`, tags }]);
    await front.start({ more: { mirror: "./mirror.yaml" }, files: { "mirror.yaml": list("v1") } });
    const operations = remoteOperations({ url: new URL(urlOf(front)), token: tokenOf(front) });
    const digestOf = async (tag: string) => {
      const { status, headers } = await front.ask(`/v2/acme/app/manifests/${tag}`);
      return status === 200 ? headers["docker-content-digest"] : status;
    };
    const old = upstream.content.seed({ repo: "acme/app", tag: "v1" });
    const other = upstream.content.seed({ repo: "acme/app", tag: "v2" });
    expect([await digestOf("v1"), await digestOf("v2")]).toEqual([403, 403]);
    const synced = await operations.mirrorSync({ entries: ["app"] }, quiet);
    expect(synced.entries).toMatchObject([{ report: { isGood: true } }]);
    const now = upstream.content.seed({ repo: "acme/app", tag: "v1" });
    expect([await digestOf("v1"), await digestOf("v2")]).toEqual([old.top.digest, 403]);
    expect((await operations.explain({ reference: `${HOST}/acme/app:v2` }, quiet)).now).toMatchObject({ outcome: "refused" });
    expect(await operations.explain({ reference: `${HOST}/acme/app:v1` }, quiet)).toMatchObject({ mirroredBy: "app" });
    const file = join(front.folder, "mirror.yaml");
    writeFileSync(`${file}.new`, list("v1", "v2"));
    renameSync(`${file}.new`, file);
    await expect
      .poll(async () => (await operations.explain({ reference: `${HOST}/acme/app:v2` }, quiet)).mirroredBy, { timeout: 15_000 })
      .toBe("app");
    expect(await digestOf("v2")).toBe(403);
    await operations.mirrorSync({ entries: ["app"] }, quiet);
    expect([await digestOf("v1"), await digestOf("v2")]).toEqual([now.top.digest, other.top.digest]);
  });
});
