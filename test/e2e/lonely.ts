// A network with one link and nothing at its other end but Layover's DNS and doors: no route leads out of it.
import type { Network } from "./engine.ts";
import { ADDRESS, DNS } from "./layover.ts";
import { must, type Ran, run } from "./part.ts";

const NAME = "lonely";
const LAYOVER = "10.88.0.1";
/** The only address in it. */
export const BUILDER = "10.88.0.2";

export class Lonely {
  /** For Layover's configuration: it is reached by this link as well. */
  readonly settings = {
    listen: {
      dns: [`${DNS}:53`, `${LAYOVER}:53`],
      https: [`${ADDRESS}:443`, `${LAYOVER}:443`],
      http: [`${ADDRESS}:80`, `${LAYOVER}:80`],
      admin: `${ADDRESS}:9180`,
    },
    answer: [{ "10.88.0.0/24": LAYOVER }, ADDRESS],
  };

  static async make(): Promise<Lonely> {
    await must(["ip", "netns", "add", NAME]);
    await must(["ip", "link", "add", "to-lonely", "type", "veth", "peer", "name", "only", "netns", NAME]);
    await must(["ip", "address", "add", `${LAYOVER}/24`, "dev", "to-lonely"]);
    await must(["ip", "link", "set", "to-lonely", "up"]);
    const inside = ["ip", "-n", NAME];
    await must([...inside, "address", "add", `${BUILDER}/24`, "dev", "only"]);
    for (const link of ["lo", "only"]) await must([...inside, "link", "set", link, "up"]);
    return new Lonely();
  }

  /** What a builder in it is set up with, besides what every builder behind Layover has. */
  around(network: Network): Network {
    return { ...network, dns: LAYOVER, netns: NAME };
  }

  /** Runs a command in it, with the world's own files. */
  run(...argv: string[]): Promise<Ran> {
    return run(["nsenter", `--net=/run/netns/${NAME}`, ...argv], { ms: 20_000 });
  }

  /** A request by somebody who takes Layover for whatever `host` is. */
  ask(host: string, path: string, ...more: string[]): Promise<Ran> {
    const to = ["--resolve", `${host}:443:${LAYOVER}`, "--resolve", `${host}:80:${LAYOVER}`];
    return this.run("curl", "-sS", "--max-time", "10", ...to, ...more, path.startsWith("http") ? path : `https://${host}${path}`);
  }

  async stop(): Promise<void> {
    await run(["ip", "netns", "delete", NAME]);
  }
}
