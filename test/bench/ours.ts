// Layover as its users run it: both processes, the default log into a file, and a configuration of addresses and places alone.
import { mkdir, writeFile } from "node:fs/promises";
import { DNS as INTERNET, lookup } from "../e2e/internet.ts";
import { DNS } from "../e2e/layover.ts";
import { HOST } from "./origin.ts";
import { type Door, Server } from "./server.ts";

/** As its neighbours, on loopback: this world has no other. */
const ADDRESS = "127.0.0.3";
const SCRIPT = new URL("../../scripts/layover.mjs", import.meta.url).pathname;

export class Ours extends Server implements Door {
  readonly name = "layover";
  readonly address = ADDRESS;
  readonly dns = DNS;
  readonly certificate: string;
  protected readonly log: string;
  protected readonly argv: readonly string[];
  protected override readonly env: Record<string, string>;

  private constructor(dir: string, profile: string | undefined) {
    super();
    this.log = `${dir}/log`;
    this.certificate = `${dir}/certs/ca.crt`;
    this.argv = [process.execPath, SCRIPT, "serve", "--config", `${dir}/layover.yaml`];
    // Both processes write a profile each, when they end.
    this.env = profile === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profile}` };
  }

  /** One that has never run: without a CA, without content. */
  static async make(dir: string, trust: string, profile?: string): Promise<Ours> {
    await mkdir(dir, { recursive: true });
    const listen = { dns: [`${DNS}:53`], https: [`${ADDRESS}:443`], http: [`${ADDRESS}:80`], admin: `${ADDRESS}:9180` };
    const ca = { certificate: `${dir}/certs/ca.crt`, key: `${dir}/keys/ca.key` };
    const settings = { listen, answer: ADDRESS, resolvers: [INTERNET], data: `${dir}/data`, ca, trust };
    await writeFile(`${dir}/layover.yaml`, JSON.stringify(settings, undefined, 2)); // JSON is YAML
    return new Ours(dir, profile);
  }

  protected async answers(): Promise<boolean> {
    const response = await fetch(`http://${ADDRESS}/readyz`, { signal: AbortSignal.timeout(1_000) });
    await response.body?.cancel();
    if (response.status !== 200) return false;
    return (await lookup(DNS, HOST, 200)).some(({ address }) => address === ADDRESS);
  }
}
