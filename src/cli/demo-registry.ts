// The demo's upstream: a small registry in memory, read-only, with one public and one private repository.

import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { basicCredential } from "../oci/basic.ts";
import { digestOf } from "../oci/digest.ts";

export const PUBLIC_IMAGE = "demo/public";
export const PRIVATE_IMAGE = "demo/private";
export const OWNER = basicCredential("owner", "secret");

interface Item {
  readonly type: string;
  readonly bytes: Buffer;
}

export interface DemoRegistry {
  readonly port: number;
  /** Bytes of manifests and blobs sent since the last call. */
  takeSent(): number;
  stop(): Promise<void>;
}

/** Layers of `layerSize` random bytes. */
export const demoRegistry = async (tls: { cert: string; key: string }, layerSize: number): Promise<DemoRegistry> => {
  const items = new Map([...image(PUBLIC_IMAGE, layerSize), ...image(PRIVATE_IMAGE, layerSize)]);
  let sent = 0;
  const answer = (req: IncomingMessage, res: ServerResponse) => {
    const path = req.url ?? "/";
    if (path === "/v2/") return void res.end("{}");
    if (path.startsWith(`/v2/${PRIVATE_IMAGE}/`) && req.headers.authorization !== OWNER) {
      res.writeHead(401, { "www-authenticate": 'Basic realm="demo"' }).end();
      return;
    }
    const item = items.get(path);
    if (item === undefined) return void res.writeHead(404).end();
    res.writeHead(200, {
      "content-type": item.type,
      "content-length": item.bytes.length,
      "docker-content-digest": digestOf(item.bytes),
    });
    if (req.method === "HEAD") return void res.end();
    sent += item.bytes.length;
    res.end(item.bytes);
  };
  const server = createServer(tls, answer);
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    takeSent: () => {
      const taken = sent;
      sent = 0;
      return taken;
    },
    stop: () => stop(server),
  };
};

const stop = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });

const image = (repo: string, layerSize: number): [string, Item][] => {
  const config = Buffer.from(JSON.stringify({ architecture: "amd64", os: "linux", repo }));
  const layer = randomBytes(layerSize);
  const descriptor = (mediaType: string, bytes: Buffer) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: descriptor("application/vnd.oci.image.config.v1+json", config),
      layers: [descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
    }),
  );
  const blob = (bytes: Buffer): [string, Item] => [
    `/v2/${repo}/blobs/${digestOf(bytes)}`,
    { type: "application/octet-stream", bytes },
  ];
  const held = { type: MANIFEST, bytes: manifest };
  return [[`/v2/${repo}/manifests/1`, held], [`/v2/${repo}/manifests/${digestOf(manifest)}`, held], blob(config), blob(layer)];
};

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
