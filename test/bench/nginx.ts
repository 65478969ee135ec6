// nginx as a registry's cache: proxy_cache with lock, a download that outlives its client, everything else as is usual.
import { mkdir, writeFile } from "node:fs/promises";
import type { Pair } from "../e2e/authority.ts";
import { listens } from "../e2e/internet.ts";
import { HOST, ADDRESS as ORIGIN, TEMPORARY } from "./origin.ts";
import { type Door, Server } from "./server.ts";

export class Nginx extends Server implements Door {
  readonly name = "nginx";
  readonly address = "127.0.0.11";
  readonly certificate: string;
  protected readonly log: string;
  protected readonly argv: readonly string[];

  private constructor(dir: string, trust: string) {
    super();
    this.certificate = trust;
    this.log = `${dir}/log`;
    this.argv = ["nginx", "-p", dir, "-e", "stderr", "-c", `${dir}/nginx.conf`];
  }

  static async make(dir: string, trust: string, pair: Pair): Promise<Nginx> {
    await mkdir(dir, { recursive: true });
    const nginx = new Nginx(dir, trust);
    await writeFile(`${dir}/nginx.conf`, nginx.#settings(dir, pair));
    return nginx;
  }

  protected answers(): Promise<boolean> {
    return listens(this.address, 443);
  }

  // The same times as Layover's: a tag is fresh for a minute, what is named by its digest for ever.
  #settings(dir: string, pair: Pair): string {
    return `
      daemon off; pid ${dir}/pid; error_log stderr; user root;
      worker_processes auto;
      events { worker_connections 4096; }
      http {
        ${TEMPORARY.map((each) => `${each}_temp_path ${dir}/${each};`).join(" ")}
        access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
        proxy_cache_path ${dir}/cache levels=1:2 keys_zone=registry:16m max_size=100g inactive=7d use_temp_path=off;
        upstream origin { server ${ORIGIN}:443; keepalive 16; }
        server {
          listen ${this.address}:443 ssl;
          server_name ${HOST};
          ssl_protocols TLSv1.2 TLSv1.3;
          ssl_certificate ${pair.certificate}; ssl_certificate_key ${pair.key};
          proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host ${HOST};
          proxy_ssl_protocols TLSv1.2 TLSv1.3; proxy_ssl_server_name on; proxy_ssl_name ${HOST};
          proxy_ssl_verify on; proxy_ssl_trusted_certificate ${this.certificate};
          proxy_cache registry; proxy_cache_key $host$uri; proxy_cache_valid 200 7d;
          proxy_cache_lock on; proxy_cache_lock_timeout 1h; proxy_cache_lock_age 1h; proxy_ignore_client_abort on;
          location / { proxy_pass https://origin; }
          location ~ /manifests/(?!sha256:) { proxy_cache_valid 200 60s; proxy_pass https://origin; }
        }
      }`;
  }
}
