// `layover explain | warm | refresh`, through the server that runs, with a registry behind it.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Explained, RefreshAnswer, WarmAnswer } from "../../src/admin/answers.ts";
import { type FaultOptions, type FaultUpstream, faultUpstream } from "../faults/upstream.ts";
import { Front, freePort, HOST } from "../front.ts";
import { layover } from "./command.ts";

const SIZE = 200_000;
const IMAGE = `${HOST}/acme/app:v1`;

const started = async (options: FaultOptions = {}, site: object = {}): Promise<{ front: Front; upstream: FaultUpstream }> => {
  const upstream = await faultUpstream(options);
  const front = new Front(upstream.url.origin, site);
  await front.start({ listen: { admin: `127.0.0.1:${await freePort()}` } });
  return { front, upstream };
};

const asJson = <T>({ stdout }: { stdout: string }): T => JSON.parse(stdout) as T;

describe("warm", () => {
  it("fetches ahead, once", async () => {
    const { front, upstream } = await started();
    const { top } = upstream.content.seed({ repo: "acme/app", tag: "v1", layers: [SIZE, SIZE] });
    const first = await layover(["warm", IMAGE], front.folder);
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(first.stdout).toMatch(
      /^registry\.test\/acme\/app:v1 {2}sha256:[0-9a-f]{12} {2}1 manifests, 3 blobs: 391 KiB fetched, 0 B held before\n$/,
    );
    const blobs = upstream.count(/\/blobs\//);
    const again = asJson<WarmAnswer>(await layover(["warm", "--json", IMAGE], front.folder));
    expect(again.images).toMatchObject([{ reference: IMAGE, digest: top.digest, blobs: 3, fetched: 0, failures: [] }]);
    expect(upstream.count(/\/blobs\//)).toBe(blobs);
    const shown = await layover(["cache", "show", IMAGE], front.folder);
    expect(shown.stdout).not.toContain("missing");
  });

  it("ends with 1 when something could not be had, and says what", async () => {
    const { front, upstream } = await started();
    upstream.content.seed({ repo: "acme/app", tag: "v1" });
    const { code, stdout } = await layover(["warm", IMAGE, `${HOST}/acme/none:v1`], front.folder);
    expect(code).toBe(1);
    expect(stdout).toMatch(/app:v1 {2}sha256:[^\n]*\nregistry\.test\/acme\/none:v1 {2}failed\n {2}NAME_UNKNOWN: /);
  });

  it("takes the platforms that are asked for", async () => {
    const { front, upstream } = await started();
    upstream.content.seed({ repo: "acme/app", tag: "v1", index: true });
    const other = await layover(
      ["warm", "--platform", "linux/s390x", "--platform", "linux/arm64,linux/386", IMAGE],
      front.folder,
    );
    expect(other).toMatchObject({ code: 1, stdout: expect.stringContaining("linux/amd64") });
    const all = asJson<WarmAnswer>(await layover(["warm", IMAGE, "--all-platforms", "--json"], front.folder));
    expect(all.images).toMatchObject([{ manifests: 2, blobs: 2, failures: [] }]);
    expect(await layover(["warm", IMAGE, "--platform", "linux"], front.folder)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("expected os/architecture"),
    });
  });

  it("asks with the credentials of a file, of one site alone, and nobody else has them after it", async () => {
    const { front, upstream } = await started({ auth: { kind: "bearer", users: { ann: "pw" }, owners: { "ann/app": "ann" } } });
    upstream.content.seed({ repo: "ann/app", tag: "v1" });
    const image = `${HOST}/ann/app:v1`;
    expect(await layover(["warm", image], front.folder)).toMatchObject({
      code: 1,
      stdout: expect.stringContaining("UNAUTHORIZED"),
    });
    writeFileSync(join(front.folder, "login"), "ann:pw\n");
    const warmed = await layover(["warm", image, "--credentials", "login"], front.folder);
    expect(warmed).toMatchObject({ code: 0, stderr: "" });
    expect((await front.ask("/v2/ann/app/manifests/v1")).status).toBe(401);
    const both = await layover(["warm", image, "ghcr.io/acme/app:1", "--credentials", "login"], front.folder);
    expect(both).toMatchObject({ code: 2, stderr: expect.stringContaining("credentials are for one site") });
    writeFileSync(join(front.folder, "login"), "ann");
    expect(await layover(["warm", image, "--credentials", "login"], front.folder)).toMatchObject({ code: 2 });
  });

  it("needs a server", async () => {
    const { front } = await started();
    await front.stop();
    const { code, stderr } = await layover(["warm", IMAGE], front.folder);
    expect({ code, stderr }).toMatchObject({ code: 3, stderr: expect.stringMatching(/^layover: no Layover runs here/) });
  });
});

describe("refresh", () => {
  it("asks upstream though the tag is fresh, and tells where it has moved", async () => {
    const { front, upstream } = await started({}, { freshFor: "1h" });
    const old = upstream.content.seed({ repo: "acme/app", tag: "v1" }).top.digest;
    const refresh = async () => {
      const outcome = await layover(["refresh", IMAGE, "--json"], front.folder);
      return { code: outcome.code, ...asJson<RefreshAnswer>(outcome).images[0] };
    };
    expect(await refresh()).toEqual({ code: 0, reference: IMAGE, outcome: "new", after: old, upstream: old });
    expect(await refresh()).toEqual({ code: 0, reference: IMAGE, outcome: "same", before: old, after: old, upstream: old });
    const moved = upstream.content.seed({ repo: "acme/app", tag: "v1" }).top.digest;
    expect(await refresh()).toEqual({ code: 0, reference: IMAGE, outcome: "moved", before: old, after: moved, upstream: moved });
    upstream.content.deleteTag("acme/app", "v1");
    expect(await refresh()).toMatchObject({ code: 1, outcome: "gone", failure: { code: "MANIFEST_UNKNOWN" } });
    await upstream.stop();
    expect(await refresh()).toMatchObject({ code: 1, outcome: "failed", failure: { code: "UPSTREAM_UNREACHABLE" } });
    const digest = await layover(["refresh", `${HOST}/acme/app@${old}`], front.folder);
    expect(digest).toMatchObject({ code: 2, stderr: expect.stringContaining("which never moves") });
  });
});

describe("explain", () => {
  it("says the same with a server and without one", async () => {
    const rules = [{ match: "acme/*:v*", freshFor: "1h" }];
    const { front, upstream } = await started({}, { rules });
    const { top } = upstream.content.seed({ repo: "acme/app", tag: "v1" });
    await layover(["warm", IMAGE], front.folder);
    const explain = async () => asJson<Explained>(await layover(["explain", IMAGE, "--json"], front.folder));
    const running = await explain();
    expect(running).toMatchObject({
      reference: IMAGE,
      rule: { position: 1, match: "acme/*:v*" },
      policy: { freshFor: 3_600_000 },
      held: { digest: top.digest, isHeld: true, checkedAt: expect.stringMatching(/Z$/) },
      upstream: "up",
      now: { outcome: "served" },
    });
    await front.stop();
    const { now, ...alone } = await explain();
    expect(alone).toEqual({ ...running, now: undefined });
    expect(now).toMatchObject({ outcome: running.now.outcome, why: running.now.why });
    const text = await layover(["explain", IMAGE], front.folder);
    expect(text.stdout).toMatch(/^image {7}registry\.test\/acme\/app:v1\nrule {8}1: acme\/\*:v\*\n/);
    expect(text.stdout).toMatch(/\nnow {9}served, for \d+ (s|min): it is fresh/);
  });
});
