// Pushes to a hosted site, request by request, as clients make them.
import { expect } from "vitest";
import { digestOf } from "../src/oci/digest.ts";
import type { Answer, Ask } from "./front.ts";

export const TYPE = "application/vnd.oci.image.manifest.v1+json";

export type Client = (method: string, path: string, ask?: Omit<Ask, "method" | "host">) => Promise<Answer>;

export const bytesOf = (length: number, seed = 1): Buffer => Buffer.alloc(length, `bytes ${seed}`);

export const pushBlob = async (ask: Client, repo: string, bytes: Buffer): Promise<string> => {
  const digest = digestOf(bytes);
  const answer = await ask("POST", `/v2/${repo}/blobs/uploads/?digest=${digest}`, { body: bytes });
  expect(answer).toMatchObject({ status: 201, headers: { location: `/v2/${repo}/blobs/${digest}` } });
  return digest;
};

export const manifestOf = (config: Buffer, layers: readonly Buffer[], more: object = {}): Buffer => {
  const descriptor = (bytes: Buffer) => ({ mediaType: "application/octet-stream", digest: digestOf(bytes), size: bytes.length });
  return Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: TYPE, config: descriptor(config), layers: layers.map(descriptor), ...more }),
  );
};

export const putManifest = (ask: Client, repo: string, reference: string, body: Buffer, type = TYPE): Promise<Answer> =>
  ask("PUT", `/v2/${repo}/manifests/${reference}`, { body, headers: { "content-type": type } });

export const pushImage = async (ask: Client, repo: string, tag: string, seed = 1): Promise<string> => {
  const [config, layer] = [bytesOf(20, seed), bytesOf(5_000, seed)];
  for (const bytes of [config, layer]) await pushBlob(ask, repo, bytes);
  const manifest = manifestOf(config, [layer]);
  expect((await putManifest(ask, repo, tag, manifest)).status).toBe(201);
  return digestOf(manifest);
};
