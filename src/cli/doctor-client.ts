// `layover doctor --from client`: what a builder sees of Layover, trap by trap. Needs nothing of Layover's but its HTTP door.
import { lookup } from "node:dns/promises";
import type { Config } from "../config/config.ts";
import { within } from "../lib/abort.ts";
import { plainAddress } from "../lib/prefixes.ts";
import { asking } from "./doctor-ask.ts";
import { checkDocker } from "./doctor-client-docker.ts";
import { checkDoor } from "./doctor-client-door.ts";
import { type Met, meet } from "./doctor-client-meet.ts";
import { checkNameServers } from "./doctor-client-names.ts";
import { checkSystem, readSystem } from "./doctor-client-system.ts";
import { checkTrust, readStore } from "./doctor-client-trust.ts";
import { type Finding, fail, reasonOf } from "./doctor-finding.ts";

/** Only by the hijack do DNS, and files that come before it, have a say. */
export type ClientDoor = "hijack" | "mirror" | "proxy";

export interface ClientSide {
  /** Layover's plain HTTP door, for one that its own name does not lead to. */
  readonly server: string | undefined;
  readonly door?: ClientDoor;
  /** Milliseconds for each question and request. */
  readonly timeout: number;
  /** The folder that is `/`. */
  readonly root?: string;
  readonly env?: NodeJS.ProcessEnv;
}

const CHECK_MS = 15_000;
/** The system's own patience is longer than anybody's. */
const LOOKUP_MS = 5_000;

/** All checks at once but for the first, in a fixed order. Never rejects. */
export const examineClient = async (
  config: Config,
  { server, door = "hijack", timeout, root = "/", env = process.env }: ClientSide,
): Promise<Finding[]> => {
  const url = serverUrl(server ?? config.names[0]!);
  if (url === null) return [fail("layover", `--server: expected http://<address>, found ${server}`, "give it so")];
  const ask = asking(timeout);
  const met = await meet({ url, names: config.sites.flatMap((site) => site.hijackNames), ask, timeout });
  if (door === "mirror") return [...met.findings, ...(await atMirror(met, timeout))];
  const { names, roots } = met;
  const isOurs = (address: string) => met.addresses.includes(plainAddress(address));
  const [system, store] = await Promise.all([readSystem(root, names), readStore(root)]);
  const home = env["XDG_CONFIG_HOME"] ?? (env["HOME"] && `${env["HOME"]}/.config`);
  const setUp = setUpOf(url);
  const checks: [Finding["check"], Promise<Finding[]>][] = [
    ["system", Promise.resolve(checkSystem(system, names, isOurs))],
    ["dns", checkNameServers({ servers: system.servers, names, isOurs, ask, mend: setUp })],
    ["tls", checkDoor({ names, addressesOf: addressesOf(met), roots, timeout, url })],
    ["trust", roots.length === 0 ? Promise.resolve([]) : checkTrust({ root, names, roots, store, mend: setUp, home })],
    [
      "docker",
      roots.length === 0
        ? Promise.resolve([])
        : checkDocker({ root, names, roots, store, timeout, url, host: env["DOCKER_HOST"] }),
    ],
  ];
  const wanted = checks.filter(([check]) => door === "hijack" || check === "trust");
  const results = await Promise.all(
    wanted.map(([check, work]) =>
      within(work, CHECK_MS).catch((error: unknown) => [fail(check, `could not be checked: ${reasonOf(error)}`, "run it again")]),
    ),
  );
  return [...met.findings, ...results.flat()];
};

const setUpOf = (url: URL): string => `curl -fsS ${url.origin}/setup/docker | sudo sh`;

/** Layover's own name leads to it, and is shown by its CA. Whom the client trusts is written in its own configuration. */
const atMirror = async ({ own, roots, url }: Met, timeout: number): Promise<Finding[]> => {
  if (own === undefined) return [];
  const found = await within(lookup(own, { all: true }), LOOKUP_MS).catch(() => []);
  if (found.length === 0) return [fail("dns", `${own} has no address here`, `${setUpOf(url)} -s -- --door mirror`)];
  return checkDoor({ names: [own], addressesOf: async () => found.map(({ address }) => address), roots, timeout, url });
};

const serverUrl = (text: string): URL | null => {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  return url !== null && /^https?:$/.test(url.protocol) ? url : null;
};

/** As programs of this machine get them; where they get none, Layover's own, so that its door is looked at all the same. */
const addressesOf =
  ({ addresses }: Met) =>
  async (name: string): Promise<readonly string[]> => {
    const found = await within(lookup(name, { all: true }), LOOKUP_MS).catch(() => []);
    return found.length > 0 ? found.map(({ address }) => address) : addresses.slice(0, 1);
  };
