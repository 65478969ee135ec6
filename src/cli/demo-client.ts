// The demo's client: what a Docker engine does for a pull, with nothing of Layover but its DNS server and its CA.
import { Resolver } from "node:dns/promises";
import { request } from "node:https";
import { digestOf } from "../oci/digest.ts";

export interface DemoClient {
  /** `ip:port` of the DNS server. */
  readonly dns: string;
  readonly port: number;
  readonly ca: string;
  readonly credential?: string;
}

export interface Pulled {
  readonly status: number;
  readonly bytes: number;
  readonly ms: number;
  /** What Layover called each answer. */
  readonly verdicts: readonly string[];
}

interface Answer {
  readonly status: number;
  readonly body: Buffer;
  readonly verdict: string;
}

/** Manifest by tag, then config and layers by digest, each checked. Throws when a byte is not what its digest says. */
export const pull = async (client: DemoClient, host: string, repo: string, tag: string): Promise<Pulled> => {
  const began = performance.now();
  const manifest = await get(client, host, `/v2/${repo}/manifests/${tag}`);
  const parts = manifest.status === 200 ? partsOf(manifest.body) : [];
  const blobs: Answer[] = [];
  for (const digest of parts) {
    const blob = await get(client, host, `/v2/${repo}/blobs/${digest}`);
    if (blob.status !== 200 || digestOf(blob.body) !== digest)
      throw new Error(`${digest} came as ${blob.status}, ${digestOf(blob.body)}`);
    blobs.push(blob);
  }
  const all = [manifest, ...blobs];
  return {
    status: manifest.status,
    bytes: manifest.status === 200 ? all.reduce((sum, { body }) => sum + body.length, 0) : 0,
    ms: Math.round(performance.now() - began),
    verdicts: [...new Set(all.map(({ verdict }) => verdict))],
  };
};

interface ManifestJson {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string }[];
}

const partsOf = (body: Buffer): string[] => {
  const { config, layers } = JSON.parse(body.toString()) as ManifestJson;
  return [config.digest, ...layers.map(({ digest }) => digest)];
};

const get = async ({ dns, port, ca, credential }: DemoClient, host: string, path: string): Promise<Answer> => {
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  resolver.setServers([dns]);
  const [address] = await resolver.resolve4(host);
  const headers = { host, accept: "*/*", ...(credential === undefined ? {} : { authorization: credential }) };
  return new Promise((resolve, reject) => {
    const sent = request({ host: address, port, servername: host, path, ca, headers, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("error", reject);
      answer.on("end", () =>
        resolve({
          status: answer.statusCode ?? 0,
          body: Buffer.concat(chunks),
          verdict: String(answer.headers["x-cache"] ?? ""),
        }),
      );
    });
    sent.on("error", reject);
    sent.end();
  });
};
