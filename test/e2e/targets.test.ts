// A sync's push to real registries: distribution 3 and 2.8, and one with the referrers API; read back as they give it.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { parseDigest } from "../../src/oci/digest.ts";
import { ownContext } from "../../src/oci/own-context.ts";
import { parseRepository, type Tag } from "../../src/oci/reference.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { freePort } from "../front.ts";
import { siteDoor } from "../http/site-door.ts";

const LAB = `${process.env["LAYOVER_LAB"]}/bin`;
const OTHER = "other.test";
const FROM = parseRepository("team/app");
const [TO, SECOND] = [parseRepository("copies/app"), parseRepository("copies/second")];
const ctx = () => ownContext("test", AbortSignal.timeout(30_000));

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

it.each(["registry", "docker-registry", "referrers-registry"] as const)("pushes to %s what the source has", async (software) => {
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
