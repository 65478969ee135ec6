// The registry itself as a pull-through proxy: distribution 3, or Debian's docker-registry 2.8. As quiet as nginx, which is to its good.
import { mkdir, writeFile } from "node:fs/promises";
import type { Pair } from "../e2e/authority.ts";
import { listens } from "../e2e/internet.ts";
import { HOST } from "./origin.ts";
import { type Door, Server } from "./server.ts";

type Kind = "distribution" | "docker-registry";
const ADDRESSES: Record<Kind, string> = { distribution: "127.0.0.12", "docker-registry": "127.0.0.13" };

export class Registry extends Server implements Door {
  readonly name: Kind;
  readonly address: string;
  readonly certificate: string;
  protected readonly log: string;
  protected readonly argv: readonly string[];
  protected override readonly env: Record<string, string>;

  private constructor(kind: Kind, dir: string, trust: string) {
    super();
    this.name = kind;
    this.address = ADDRESSES[kind];
    this.certificate = trust;
    this.log = `${dir}/log`;
    this.argv = [binaryOf(kind), "serve", `${dir}/config.json`];
    this.env = { SSL_CERT_FILE: trust, OTEL_TRACES_EXPORTER: "none" };
  }

  static async make(kind: Kind, dir: string, trust: string, pair: Pair): Promise<Registry> {
    await mkdir(dir, { recursive: true });
    const settings = {
      version: "0.1",
      log: { level: "warn", accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: `${dir}/storage` }, cache: { blobdescriptor: "inmemory" } },
      http: { addr: `${ADDRESSES[kind]}:443`, secret: "bench", tls: pair },
      proxy: { remoteurl: `https://${HOST}` },
    };
    await writeFile(`${dir}/config.json`, JSON.stringify(settings)); // JSON is YAML
    return new Registry(kind, dir, trust);
  }

  protected answers(): Promise<boolean> {
    return listens(this.address, 443);
  }
}

export const binaryOf = (kind: Kind): string =>
  kind === "distribution" ? `${process.env["LAYOVER_LAB"]}/bin/registry` : "docker-registry";
