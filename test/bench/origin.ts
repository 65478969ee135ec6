// The upstream of all: an anonymous registry made of files behind nginx, so fast that what is measured is the cache before it.
// Its log says how many bytes of each blob left it.
import { createHash, randomFillSync } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import type { Authority, Pair } from "../e2e/authority.ts";
import { sha256 } from "../e2e/image.ts";
import { listens } from "../e2e/internet.ts";
import { type Door, Server } from "./server.ts";

export const HOST = "ghcr.io";
export const ADDRESS = "127.0.0.9";

const REPOSITORY = "/v2/bench/app";
export type Thing = { path: string; digest: string; size: number };

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const TAG = "1.0";
/** What any nginx wants a folder for. */
export const TEMPORARY = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];

export class Origin extends Server implements Door {
  readonly name = "direct";
  readonly address = ADDRESS;
  readonly certificate: string;
  protected readonly log: string;
  protected readonly argv: readonly string[];
  readonly #dir: string;
  #pattern: Buffer = Buffer.alloc(0);

  private constructor(dir: string, trust: string) {
    super();
    this.#dir = dir;
    this.certificate = trust;
    this.log = `${dir}/log`;
    this.argv = ["nginx", "-p", dir, "-e", "stderr", "-c", `${dir}/nginx.conf`];
  }

  static async make(authority: Authority, dir: string): Promise<Origin> {
    const origin = new Origin(dir, authority.certificate);
    for (const kind of ["blobs", "manifests"]) await mkdir(`${dir}${REPOSITORY}/${kind}`, { recursive: true });
    await writeFile(`${dir}/nginx.conf`, origin.#settings(await authority.issue(HOST)));
    return origin;
  }

  /** A new blob that differs from all others; one at a time, they are written out of the same memory. */
  async blob(size: number): Promise<Thing> {
    if (this.#pattern.length < size) this.#pattern = randomFillSync(Buffer.allocUnsafe(size));
    const bytes = this.#pattern.subarray(0, size);
    randomFillSync(bytes, 0, Math.min(size, 4096));
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    const path = `${REPOSITORY}/blobs/${digest}`;
    await writeFile(this.#dir + path, bytes);
    return { path, digest, size };
  }

  /** A manifest of these blobs, under its tag and its digest. */
  async manifest(blobs: readonly Thing[]): Promise<{ byTag: Thing; byDigest: Thing }> {
    const [config, ...layers] = blobs.map(({ digest, size }) => ({ mediaType: "application/octet-stream", digest, size }));
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config, layers }));
    const digest = sha256(bytes);
    const at = (reference: string) => ({ path: `${REPOSITORY}/manifests/${reference}`, digest, size: bytes.length });
    const both = { byTag: at(TAG), byDigest: at(digest) };
    for (const { path } of Object.values(both)) await writeFile(this.#dir + path, bytes);
    await writeFile(`${this.#dir}/tag.conf`, `add_header Docker-Content-Digest ${digest};`);
    return both;
  }

  /** Bytes of this that have left it so far: a line is written when a request ends, also one that was broken off. */
  async bytesOf({ path }: Thing): Promise<number> {
    const lines = (await readFile(`${this.#dir}/access.log`, "utf8")).split("\n").map((line) => line.split(" "));
    return lines.filter(([method, uri]) => method === "GET" && uri === path).reduce((sum, [, , bytes]) => sum + Number(bytes), 0);
  }

  protected answers(): Promise<boolean> {
    return listens(ADDRESS, 443);
  }

  #settings({ certificate, key }: Pair): string {
    const dir = this.#dir;
    return `
      daemon off; pid ${dir}/pid; error_log stderr; user root; worker_processes 2;
      events { worker_connections 4096; }
      http {
        ${TEMPORARY.map((each) => `${each}_temp_path ${dir}/${each};`).join(" ")}
        log_format hit '$request_method $uri $body_bytes_sent';
        access_log ${dir}/access.log hit;
        sendfile on; tcp_nopush on; keepalive_requests 100000000;
        server {
          listen ${ADDRESS}:443 ssl;
          server_name ${HOST};
          ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate ${certificate}; ssl_certificate_key ${key};
          root ${dir}; default_type application/octet-stream;
          add_header Docker-Distribution-Api-Version registry/2.0;
          location = /v2/ { default_type application/json; return 200 '{}'; }
          location ~ /blobs/(sha256:[0-9a-f]+)$ { add_header Docker-Content-Digest $1; }
          location ~ /manifests/(sha256:[0-9a-f]+)$ { default_type ${MANIFEST}; add_header Docker-Content-Digest $1; }
          location ~ /manifests/ { default_type ${MANIFEST}; include ${dir}/tag.conf; }
        }
      }`;
  }
}
