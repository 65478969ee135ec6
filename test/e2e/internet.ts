// The internet's DNS, in the part of 8.8.8.8: dnsmasq, which knows the few names of this world and denies all others.
import { Resolver } from "node:dns/promises";
import { connect } from "node:net";
import { Part } from "./part.ts";

export const DNS = "127.0.0.6";

/** The addresses that one server gives for a name, asked once. */
export const lookup = (server: string, name: string, ms = 1_000): Promise<{ address: string; ttl: number }[]> => {
  const resolver = new Resolver({ timeout: ms, tries: 1 });
  resolver.setServers([server]);
  return resolver.resolve4(name, { ttl: true });
};

/** Whether something takes TCP connections there. */
export const listens = (address: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: address, port, timeout: 1_000 });
    const say = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    socket
      .once("connect", () => say(true))
      .once("error", () => say(false))
      .once("timeout", () => say(false));
  });

export class Internet {
  readonly #names: ReadonlyMap<string, string>;
  readonly #log: string;
  readonly #address: string;
  #dnsmasq: Part | undefined;

  constructor(names: ReadonlyMap<string, string>, log: string, address = DNS) {
    this.#names = names;
    this.#log = log;
    this.#address = address;
  }

  async start(): Promise<void> {
    const plain = [
      "-k",
      "--user=root",
      "--pid-file=",
      "--no-resolv",
      "--no-hosts",
      "--conf-file=/dev/null",
      "--local=/#/",
      "--log-queries",
    ];
    const names = [...this.#names].map(([name, address]) => `--address=/${name}/${address}`);
    const argv = ["dnsmasq", ...plain, "--log-facility=-", "--bind-interfaces", `--listen-address=${this.#address}`, ...names];
    const [first = ""] = this.#names.keys();
    this.#dnsmasq = await Part.start("dnsmasq", argv, this.#log, async () => (await lookup(this.#address, first)).length > 0);
  }

  /** Nothing listens any more. */
  async stop(): Promise<void> {
    await this.#dnsmasq?.stop();
  }

  /** Queries vanish, as behind a cut line. */
  freeze(): void {
    this.#dnsmasq?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#dnsmasq?.kill("SIGCONT");
  }
}
