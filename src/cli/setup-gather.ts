// What the set-up texts are made of, gathered from the configuration, or from a Layover elsewhere.
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import type { Config } from "../config/config.ts";
import { isWildcard } from "../lib/listen.ts";
import { SetupError } from "../lib/setup-error.ts";
import { setupOf } from "../setup/installation.ts";
import type { Setup } from "../setup/setup.ts";
import { parseRoots, type Root, readRoots } from "./ca-roots.ts";
import { parseHello } from "./doctor-client-meet.ts";

export interface Gathering {
  readonly server?: string | undefined;
  readonly address?: string | undefined;
  readonly fingerprint?: string | undefined;
}

const FETCH_MS = 10_000;
const MAX_CA_BYTES = 2 ** 20;

/** `notes` are for stderr. Throws SetupError. */
export const gatherSetup = async (config: Config, from: Gathering): Promise<{ setup: Setup; notes: string[] }> => {
  const server = from.server === undefined ? undefined : serverUrl(from.server);
  const roots = server === undefined ? await localRoots(config.ca.certificate) : await remoteRoots(server);
  refuseOthers(roots, from.fingerprint);
  const { address, notes } = await addressOf(config, from.address, server);
  const fingerprints = roots.map((root) => root.fingerprint);
  const hello = server && (await remoteNames(server));
  const told = server === undefined || from.fingerprint !== undefined ? [] : fetched(server, fingerprints);
  const setup = setupOf(config, {
    address,
    answer: config.answer === "auto" || server !== undefined ? [address] : config.answer,
    dnsHost: from.address ?? (server && address),
    ca: roots.map((root) => root.pem).join(""),
    fingerprints,
    url: server?.origin ?? httpDoor(config, address),
  });
  if (hello === undefined) return { notes: [...notes, ...told], setup };
  // ports are those of the configuration here, which on another machine are the usual ones
  const mirror = setup.mirror && { ...setup.mirror, name: hello.own[0] ?? setup.mirror.name };
  return { notes: [...notes, ...told], setup: { ...setup, names: hello.names, passed: [], mirror } };
};

const fetched = (server: URL, fingerprints: readonly string[]): string[] => [
  `The CA came from ${server.origin} without protection. Its SHA-256 fingerprint:`,
  ...fingerprints.map((print) => `  ${print}`),
  "Compare it with `layover ca show` on Layover's machine, or name it with --fingerprint.",
];

const serverUrl = (text: string): URL => {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (url === null || !/^https?:$/.test(url.protocol)) throw new SetupError(`--server: expected http://<address>, found ${text}`);
  return url;
};

const localRoots = async (file: string): Promise<readonly Root[]> => {
  const roots = await readRoots(file);
  if (typeof roots !== "string") return roots;
  throw new SetupError(
    `the CA's certificate is needed, and ${file} is ${roots}.\n  On another machine than Layover's: --server http://<Layover>`,
  );
};

const remoteRoots = async (server: URL): Promise<readonly Root[]> => {
  const url = new URL("/ca.crt", server);
  const roots = parseRoots(await fetchText(url));
  if (typeof roots !== "string") return roots;
  throw new SetupError(`${url.href} ${roots}: is it Layover's plain HTTP door?`);
};

/** Names alone are taken from there: text for our own script, checked as any other. */
const remoteNames = async (server: URL): Promise<{ names: string[]; own: string[] }> => {
  const text = await fetchText(new URL("/client.json", server));
  try {
    return parseHello(text);
  } catch (error) {
    throw new SetupError(`${server.origin} is no Layover: ${(error as Error).message}`);
  }
};

const fetchText = async (url: URL): Promise<string> => {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(FETCH_MS), redirect: "error" });
    if (!response.ok) throw new SetupError(`${url.href} answered ${response.status}: is it Layover's plain HTTP door?`);
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      if (text.length > MAX_CA_BYTES) throw new SetupError(`${url.href} is no certificate: it does not end`);
    }
    return text;
  } catch (error) {
    if (error instanceof SetupError) throw error;
    const reason = (error as { cause?: Error }).cause ?? (error as Error);
    throw new SetupError(`cannot fetch ${url.href}: ${reason.message}`);
  }
};

/** Every root must be one that the user named: a second one would be as powerful as the first. */
const refuseOthers = (roots: readonly Root[], fingerprint: string | undefined): void => {
  if (fingerprint === undefined) return;
  const named = fingerprint.toUpperCase().split(",");
  const other = roots.find((root) => !named.includes(root.fingerprint));
  if (other) throw new SetupError(`the CA's fingerprint is ${other.fingerprint}, which is not the one that you named`);
};

const addressOf = async (
  config: Config,
  given: string | undefined,
  server: URL | undefined,
): Promise<{ address: string; notes: string[] }> => {
  if (given !== undefined) {
    if (isIP(given) === 0 || isWildcard(given)) throw new SetupError(`--address: expected an IP address, found ${given}`);
    return { address: given, notes: [] };
  }
  if (server !== undefined) return { address: await resolveHost(server.hostname.replace(/^\[|\]$/g, "")), notes: [] };
  const told = config.answer === "auto" ? config.listen.https.find(({ host }) => !isWildcard(host))?.host : config.answer[0];
  if (told !== undefined) return { address: told, notes: [] };
  const guess = ownAddress();
  if (guess === undefined)
    throw new SetupError("this machine has no address in a network: say where Layover is reached with --address");
  return { address: guess, notes: [`Taking ${guess} for the address that clients reach Layover by; --address says another.`] };
};

const resolveHost = async (host: string): Promise<string> => {
  if (isIP(host) !== 0) return host;
  const found = await lookup(host).catch(() => undefined);
  if (found === undefined) throw new SetupError(`${host} has no address: give --address as well`);
  return found.address;
};

/** Bridges of Docker's own are no way in from elsewhere. */
const ownAddress = (): string | undefined =>
  Object.entries(networkInterfaces())
    .filter(([name]) => !/^(docker|br-|veth|virbr|cni|podman)/.test(name))
    .flatMap(([, list]) => list ?? [])
    .find(({ internal, family }) => !internal && family === "IPv4")?.address;

const httpDoor = ({ listen }: Config, address: string): string | undefined => {
  const door = listen.http[0];
  if (door === undefined) return undefined;
  const host = isWildcard(door.host) ? address : door.host;
  const origin = `http://${isIP(host) === 6 ? `[${host}]` : host}`;
  return door.port === 80 ? origin : `${origin}:${door.port}`;
};
