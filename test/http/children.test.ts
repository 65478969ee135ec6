// An index is fetched as it is: what it names is fetched when somebody asks for it, and only that.
import { expect, it } from "vitest";
import { OCI_INDEX, OCI_MANIFEST } from "../faults/content.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { startFront } from "../front.ts";

it("a pull through an index fetches the platform that is asked for, and no other", async () => {
  const upstream = await faultUpstream();
  const { content } = upstream;
  const images = ["amd64", "arm64", "s390x"].map((architecture) => ({
    architecture,
    ...content.seed({ repo: "acme/app", layers: [1_000, 2_000] }),
  }));
  const manifests = images.map(({ manifest: { digest, bytes }, architecture }) => ({
    mediaType: OCI_MANIFEST,
    digest,
    size: bytes.length,
    platform: { os: "linux", architecture },
  }));
  const index = content.putManifest("acme/app", "v1", { manifests }, OCI_INDEX);
  const front = await startFront(upstream);
  const wanted = images[1]!;
  const digests = [wanted.config, ...wanted.layers].map(({ digest }) => digest);
  for (let round = 0; round < 2; round += 1) {
    expect((await front.ask("/v2/acme/app/manifests/v1")).body).toEqual(index.bytes);
    expect((await front.ask(`/v2/acme/app/manifests/${wanted.manifest.digest}`)).body).toEqual(wanted.manifest.bytes);
    for (const digest of digests) expect((await front.ask(`/v2/acme/app/blobs/${digest}`)).status).toBe(200);
  }
  // and nothing comes after it, in the background
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(upstream.log.map(({ method, path }) => `${method} ${path.slice("/v2/acme/app/".length)}`)).toEqual([
    "GET manifests/v1",
    `GET manifests/${wanted.manifest.digest}`,
    ...digests.map((digest) => `GET blobs/${digest}`),
  ]);
});
