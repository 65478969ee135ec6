// A site that was hosted here and has an upstream now: what was hosted under its name is nothing that this upstream has ever said.
import { expect, it } from "vitest";
import { digestOf, OCI_MANIFEST } from "../faults/content.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { Front } from "../front.ts";
import { bytesOf, type Client, pushImage } from "../pushing.ts";

const HOST = "images.example";
const REPO = "acme/app";

it("what was hosted is given to nobody by another registry's word, and is there again when the site is hosted again", async () => {
  const upstream = await faultUpstream();
  upstream.content.repo(REPO);
  const theirs = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, layers: [] }));
  const mirrored = { upstream: upstream.url.origin };
  const others: Record<string, object> = { [HOST]: { kind: "local", access: "anonymous" } };
  const front = new Front(upstream.url.origin, {}, others);
  const ask: Client = (method, path, more = {}) => front.ask(path, { method, host: HOST, ...more });
  await front.start();
  const ours = await pushImage(ask, REPO, "v1");
  const layer = digestOf(bytesOf(5_000, 1));
  await front.stop();
  others[HOST] = mirrored;
  await front.start();
  upstream.content.putManifest(REPO, "v1", theirs, OCI_MANIFEST);
  upstream.content.putManifest(REPO, "v2", theirs, OCI_MANIFEST);
  // the client has shown its right to read what the upstream has under the same name
  expect((await ask("GET", `/v2/${REPO}/manifests/v2`)).status).toBe(200);
  expect((await ask("GET", `/v2/${REPO}/manifests/v1`)).body).toEqual(theirs);
  expect((await ask("GET", `/v2/${REPO}/manifests/${ours}`)).status).toBe(404);
  expect((await ask("GET", `/v2/${REPO}/blobs/${layer}`)).status).toBe(404);
  await front.stop();
  others[HOST] = { kind: "local", access: "anonymous" };
  await front.start();
  expect((await ask("GET", `/v2/${REPO}/manifests/${ours}`)).status).toBe(200);
  expect((await ask("GET", `/v2/${REPO}/blobs/${layer}`)).status).toBe(200);
});
