// Machines of a network of their own, each a network namespace, and the links between them.
import { must, type Options, type Ran, run } from "./part.ts";
import { until } from "./until.ts";

export class Machine {
  readonly name: string;

  private constructor(name: string) {
    this.name = name;
  }

  static async make(name: string): Promise<Machine> {
    await must(["ip", "netns", "add", name]);
    const machine = new Machine(name);
    await machine.must("ip", "link", "set", "lo", "up");
    return machine;
  }

  /** What runs `argv` on it. */
  argv(...argv: string[]): string[] {
    return ["ip", "netns", "exec", this.name, ...argv];
  }

  must(...argv: string[]): Promise<string> {
    return must(this.argv(...argv), { ms: 20_000 });
  }

  run(argv: readonly string[], options: Options = {}): Promise<Ran> {
    return run(this.argv(...argv), { ms: 20_000, ...options });
  }

  /** Without the seconds in which an IPv6 address may not be used yet, unless they are wanted. */
  async address(link: string, address: string, isTentative = false): Promise<void> {
    const six = address.includes(":") && !isTentative ? ["nodad"] : [];
    await this.must("ip", "address", "add", address, "dev", link, ...six);
    await this.must("ip", "link", "set", link, "up");
  }

  /** A link is up some time after it was told to, when both of its ends are: before that a machine does not tell of its addresses. */
  async linked(...links: readonly string[]): Promise<void> {
    const state = async (link: string) => (await this.run(["ip", "-br", "link", "show", "dev", link])).out.split(/\s+/)[1];
    for (const link of links) await until(`${link} to be up`, 5_000, async () => (await state(link)) === "UP");
  }

  /** With this as its name server, and none beside it: what a client that reads resolv.conf does. */
  resolving(file: string, argv: readonly string[], env: Record<string, string>): Promise<Ran> {
    const script = `mount --bind '${file}' "$(readlink -m /etc/resolv.conf)" && exec "$@"`;
    return this.run(["unshare", "--mount", "sh", "-c", script, "sh", ...argv], { env });
  }

  /**
   * The answer to one question, which dig takes only from the very address that it asked; else what it says.
   * `from` is where it asks from.
   */
  async dig(server: string, name: string, type = "A", from?: string): Promise<string> {
    const asking = [
      "dig",
      `@${server}`,
      name,
      type,
      "+short",
      "+time=1",
      "+tries=1",
      ...(from === undefined ? [] : ["-b", from]),
    ];
    const { out, err } = await this.run(asking);
    return `${out}${err}`.trim();
  }

  async remove(): Promise<void> {
    await must(["ip", "netns", "delete", this.name]);
  }
}

/** A cable between two machines, and what its ends are called. */
export const cable = async (one: Machine, end: string, other: Machine, otherEnd: string): Promise<void> => {
  await one.must("ip", "link", "add", end, "type", "veth", "peer", "name", otherEnd, "netns", other.name);
};
