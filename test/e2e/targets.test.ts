// A sync to real registries: distribution 3 and 2.8, and one with the referrers API; read back as they give it.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { parseDigest } from "../../src/oci/digest.ts";
import { ownContext } from "../../src/oci/own-context.ts";
import { parseRepository, type Tag } from "../../src/oci/reference.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { freePort } from "../front.ts";
import { siteDoor } from "../http/site-door.ts";
import { tagsOnly } from "../mirror/entry.ts";
import { pushed, pushedEntry } from "../mirror/pushed.ts";

const LAB = `${process.env["LAYOVER_LAB"]}/bin`;
const OTHER = "other.test";
const FROM = parseRepository("team/app");
const [TO, SECOND] = [parseRepository("copies/app"), parseRepository("copies/second")];
const ctx = () => ownContext("test", AbortSignal.timeout(30_000));

const SOFTWARE = ["registry", "docker-registry", "referrers-registry"] as const;
const REGISTRIES = {
  registry: (settings: string) => [`${LAB}/registry`, "serve", settings],
  "docker-registry": (settings: string) => ["/usr/bin/docker-registry", "serve", settings],
  "referrers-registry": (_: string, port: number) => [`${LAB}/referrers-registry`, `127.0.0.1:${port}`],
};

const started = async (software: keyof typeof REGISTRIES): Promise<string> => {
  const [folder, port] = [mkdtempSync(join(tmpdir(), "layover-target-")), await freePort()];
  const settings = join(folder, "config.yml");
  const storage = { filesystem: { rootdirectory: join(folder, "data") }, delete: { enabled: true } };
  writeFileSync(
    settings,
    JSON.stringify({ version: 0.1, log: { level: "error" }, storage, http: { addr: `127.0.0.1:${port}` } }),
  );
  const [program, ...args] = REGISTRIES[software](settings, port);
  const child = spawn(program!, args, { stdio: "ignore", env: { ...process.env, OTEL_TRACES_EXPORTER: "none" } });
  onTestFinished(() => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${port}`;
  await expect.poll(() => fetch(`${url}/v2/`).then(({ status }) => status, String), { timeout: 20_000 }).toBe(200);
  return url;
};

it.each(SOFTWARE)("pushes to %s what the source has", async (software) => {
  const [upstream, url] = [await faultUpstream(), await started(software)];
  const image = upstream.content.seed({ repo: FROM, layers: [3_000_000, 2_000], index: true });
  const subject = { digest: image.top.digest, mediaType: image.top.mediaType, size: image.top.bytes.length };
  const [layer] = image.layers;
  const signature = upstream.content.putManifest(FROM, undefined, {
    artifactType: "application/x.signature",
    subject,
    config: { mediaType: "application/vnd.oci.empty.v1+json", digest: image.config.digest, size: image.config.bytes.length },
    layers: [{ mediaType: "application/octet-stream", digest: layer!.digest, size: layer!.bytes.length }],
  });
  const { site, doors, siteOf } = await siteDoor(upstream, {}, { [OTHER]: { upstream: url } });
  const target = doors.targetOf(siteOf(OTHER));
  let told = 0;
  for (const repo of [TO, SECOND])
    for (const { digest: text, bytes } of [image.config, ...image.layers]) {
      const digest = parseDigest(text);
      await target.putBlob(
        repo,
        { digest, mediaType: "application/octet-stream", size: bytes.length },
        (asked) => site.source.cache.getBlob({ repo: FROM, digest }, asked),
        (more) => {
          told += more;
        },
        ctx(),
      );
    }
  for (const { digest, bytes, mediaType } of [image.manifest, image.top, signature])
    await target.putManifest(
      TO,
      {
        descriptor: { digest: parseDigest(digest), mediaType, size: bytes.length },
        bytes,
        provenance: { source: "miss" },
        metadata: {},
      },
      ctx(),
    );
  const v1 = "v1" as Tag;
  expect(await target.tag(TO, v1, ctx())).toBeUndefined();
  expect(await target.moveTag(TO, v1, undefined, { digest: parseDigest(image.top.digest) }, ctx())).toBe(true);
  expect(await target.moveTag(TO, v1, undefined, { digest: parseDigest(image.top.digest) }, ctx())).toBe(false);
  const given = async (path: string) => Buffer.from(await (await fetch(`${url}/v2/${TO}/${path}`)).arrayBuffer());
  for (const { digest, bytes } of [image.config, ...image.layers])
    expect((await given(`blobs/${digest}`)).equals(bytes)).toBe(true);
  const accept = { accept: image.top.mediaType };
  const top = await fetch(`${url}/v2/${TO}/manifests/v1`, { headers: accept });
  expect(Buffer.from(await top.arrayBuffer()).equals(image.top.bytes)).toBe(true);
  // to the second repository they were mounted, by those that do
  const size = 3_002_000 + image.config.bytes.length;
  expect(told).toBe(software === "referrers-registry" ? 2 * size : size);
  const listed =
    software === "referrers-registry" ? `referrers/${image.top.digest}` : `manifests/${image.top.digest.replace(":", "-")}`;
  const list = await fetch(`${url}/v2/${TO}/${listed}`, { headers: accept });
  expect(await list.json()).toMatchObject({ manifests: [{ digest: signature.digest }] });
});

it.each(SOFTWARE)(
  "brings an entry to %s, goes on after it broke off, sends nothing twice, and says what sparse indexes want",
  async (software) => {
    const [upstream, url] = [await faultUpstream(), await started(software)];
    const proxy = await watched(url);
    const FROM_REPO = "team/app";
    const seed = () =>
      upstream.content.seed({ repo: FROM_REPO, tag: "v1", layers: [400_000, 300_000, 200_000, 2_000], index: true });
    const first = seed();
    let now = Date.UTC(2026, 10, 24);
    const entry = pushedEntry({ backup: "{{tag}}.{{run}}", keep: { count: 1, for: undefined }, parallel: 1 });
    const { sync } = await pushed(upstream, proxy.url, entry, { clock: () => now });
    const digestAt = async (tag: string) => {
      const answer = await fetch(`${url}/v2/${TO}/manifests/${tag}`, {
        method: "HEAD",
        headers: { accept: first.top.mediaType },
      });
      return answer.headers.get("docker-content-digest") ?? answer.status;
    };
    const stop = new AbortController();
    proxy.answered = () => proxy.uploads().length > 0 && stop.abort(new Error("killed"));
    await expect(sync({ run: "1", signal: stop.signal })).rejects.toThrow("killed");
    proxy.answered = () => undefined;
    expect(await digestAt("v1")).toBe(404);
    const [came] = proxy.uploads();
    proxy.writes.length = 0;
    expect(await sync({ run: "2" })).toMatchObject({ isGood: true, tags: [{ outcome: "done" }] });
    expect(await digestAt("v1")).toBe(first.top.digest);
    expect(proxy.uploads()).not.toContain(came);

    proxy.writes.length = 0;
    expect(await sync({ run: "3" })).toMatchObject({ isGood: true, tags: [{ change: "same" }] });
    expect(proxy.writes).toEqual([]);
    const second = seed();
    now += 60_000;
    expect(await sync({ run: "4" })).toMatchObject({ isGood: true, tags: [{ outcome: "done", backup: "v1.4" }], expired: [] });
    expect([await digestAt("v1"), await digestAt("v1.4")]).toEqual([second.top.digest, first.top.digest]);
    seed();
    now += 60_000;
    const { isGood, expired } = await sync({ run: "5" });
    const deletes = (await digestAt("v1.4")) === 404;
    expect([isGood, expired.map(({ tag }) => tag)]).toEqual([true, deletes ? ["v1.4"] : []]);
    // of the three the newer distribution deletes by tag
    if (software === "registry") expect(deletes).toBe(true);
    expect(await digestAt("v1.5")).toBe(second.top.digest);

    const other = upstream.content.seed({ repo: FROM_REPO, layers: [3_000] });
    const entries = [first, other].map(({ manifest: { digest, bytes, mediaType } }, i) => ({
      ...{ digest, mediaType, size: bytes.length },
      platform: { os: "linux", architecture: i === 0 ? "amd64" : "arm64" },
    }));
    upstream.content.putManifest(
      FROM_REPO,
      "sparse",
      { schemaVersion: 2, mediaType: first.top.mediaType, manifests: entries },
      first.top.mediaType,
    );
    const narrow = await pushed(upstream, proxy.url, pushedEntry({ platforms: ["linux/amd64"], tags: tagsOnly("sparse") }));
    const [tag] = (await narrow.sync()).tags;
    expect(tag).toMatchObject({
      outcome: "failed",
      failure: { message: expect.stringContaining("platforms were left out") as string },
    });
  },
  60_000,
);

/** A way to a registry that tells of what is written there: `PUT /v2/…`, once it has been answered. */
const watched = async (to: string) => {
  const proxy = {
    url: "",
    writes: [] as string[],
    answered: (): unknown => undefined,
    /** Digests of blobs. */
    uploads: () => proxy.writes.flatMap((write) => /digest=([^&]+)/.exec(decodeURIComponent(write))?.[1] ?? []),
  };
  const server = createServer((req, res) => {
    const on = request(new URL(req.url ?? "/", to), { method: req.method!, headers: req.headers }, (answer) => {
      if (req.method !== "GET" && req.method !== "HEAD") proxy.writes.push(`${req.method} ${req.url}`);
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(res).once("finish", proxy.answered);
    });
    on.on("error", () => res.destroy());
    res.on("close", () => on.destroy());
    req.pipe(on);
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return proxy;
};
