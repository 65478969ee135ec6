// What keeps the appliance beside this process from being ready: its front end and its DNS are asked as a client would.
import { get as overHttp } from "node:http";
import { get as overTls } from "node:https";
import { networkInterfaces } from "node:os";
import { readinessOf } from "../admin/readiness.ts";
import type { Config } from "../config/config.ts";
import { type Address, formatAddress, isWildcard } from "../lib/listen.ts";
import { parsePrefixes } from "../lib/prefixes.ts";

const ANSWER_MS = 3_000;
/** Layover's DNS answers this itself (RFC 9462 8.2), whomever it hijacks and whether or not its resolvers can be reached. */
const LOCAL_NAME = "_dns.resolver.arpa";

export interface Health {
  /** One text for each; none: it is well. */
  readonly problems: readonly string[];
  /** What somebody has wanted so. */
  readonly notes: readonly string[];
}

export const healthOf = async (config: Config): Promise<Health> => {
  const [front, dns] = await Promise.all([frontHealth(config), dnsProblem(config)]);
  return {
    problems: [front.problem, dns].filter((text) => text !== undefined),
    notes: front.note === undefined ? [] : [front.note],
  };
};

interface FrontHealth {
  readonly problem?: string;
  readonly note?: string;
}

const frontHealth = async ({ listen, clients }: Config): Promise<FrontHealth> => {
  const [plain] = listen.http;
  const [secure] = listen.https;
  const door = plain ?? secure;
  if (door === undefined) return {};
  const url = `${plain === undefined ? "https" : "http"}://${formatAddress(reachable(door, clients))}/readyz`;
  try {
    const { status, body } = await askFor(url);
    const text = `${url}: ${status} ${body.trim()}`;
    if (status === 200) return {};
    return readinessOf(status, body) === "bypass" ? { note: text } : { problem: text };
  } catch (error) {
    return { problem: `${url}: ${error instanceof Error ? error.message : String(error)}` };
  }
};

/** A health check asks itself: whose certificate it is shown does not matter. */
const askFor = (url: string): Promise<{ status: number; body: string }> =>
  new Promise((resolve, reject) => {
    const options = { agent: false, rejectUnauthorized: false, signal: AbortSignal.timeout(ANSWER_MS) } as const;
    const question = (url.startsWith("https:") ? overTls : overHttp)(url, options, (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (text: string) => (body += text));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
      answer.on("error", reject);
    });
    question.on("error", reject);
  });

const dnsProblem = async ({ listen, clients }: Config): Promise<string | undefined> => {
  const [door] = listen.dns;
  if (door === undefined) return undefined;
  const { asking } = await import("./doctor-ask.ts");
  const server = reachable(door, clients);
  try {
    const { rcode } = await asking(ANSWER_MS)({ server, name: LOCAL_NAME, type: "A", transport: "udp" });
    return rcode === 0 ? undefined : `DNS on ${formatAddress(server)}: rcode ${rcode}`;
  } catch (error) {
    return `DNS on ${formatAddress(server)}: ${error instanceof Error ? error.message : String(error)}`;
  }
};

/** Of a wildcard door an address of this machine that `clients` lets in: who asks it, asks from it. */
const reachable = ({ host, port }: Address, clients: readonly string[]): Address => {
  if (!isWildcard(host)) return { host, port };
  const isClient = parsePrefixes(clients);
  const own = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).filter(({ family }) => family === "IPv4"));
  const candidates = ["127.0.0.1", ...own.map(({ address }) => address)];
  return { host: candidates.find(isClient) ?? "127.0.0.1", port };
};
