// dnsmasq, twice: the neighbour that answers and forwards without a cache, and the internet's DNS that it and Layover forward to.
import { DNS as INTERNET, lookup } from "../e2e/internet.ts";
import { HOST, ADDRESS as ORIGIN } from "./origin.ts";
import { Server } from "./server.ts";

/** Names that Layover stands in for. */
export const HIJACKED = [HOST, "registry.gitlab.com", "quay.io", "registry.k8s.io"];
/** A zone that the internet knows, and its one address. */
export const ZONE = { name: "bench.example", address: "127.0.0.50" };
/** A name whose answer may be kept for longer than any measurement takes, in seconds. */
export const KEPT = { name: "kept.example", address: "127.0.0.51", ttl: 3_600 };

const PLAIN = ["-k", "--user=root", "--pid-file=", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--bind-interfaces"];

export class Dnsmasq extends Server {
  readonly name = "dnsmasq";
  readonly dns: string;
  protected readonly log: string;
  protected readonly argv: readonly string[];
  readonly #known: { name: string; address: string };

  private constructor(dns: string, log: string, known: { name: string; address: string }, args: readonly string[]) {
    super();
    this.dns = dns;
    this.log = log;
    this.#known = known;
    this.argv = ["dnsmasq", ...PLAIN, "--cache-size=0", `--listen-address=${dns}`, ...args];
  }

  /** In the part of 8.8.8.8. */
  static internet(dir: string): Dnsmasq {
    const names = [`--address=/${HOST}/${ORIGIN}`, `--address=/${ZONE.name}/${ZONE.address}`];
    names.push(`--host-record=${KEPT.name},${KEPT.address},${KEPT.ttl}`);
    return new Dnsmasq(INTERNET, `${dir}/internet.log`, ZONE, ["--local=/#/", ...names]);
  }

  /** In Layover's place: the same names answered with the same address, all others forwarded. */
  static neighbour(dir: string, answer: string): Dnsmasq {
    const names = HIJACKED.map((name) => `--address=/${name}/${answer}`);
    return new Dnsmasq("127.0.0.14", `${dir}/dnsmasq.log`, { name: HOST, address: answer }, [`--server=${INTERNET}`, ...names]);
  }

  protected async answers(): Promise<boolean> {
    const { name, address } = this.#known;
    return (await lookup(this.dns, name, 200)).some((found) => found.address === address);
  }
}
