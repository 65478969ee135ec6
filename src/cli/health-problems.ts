// What keeps the appliance beside this process from being ready: its front end and its DNS are asked as a client would.
import { get as overHttp } from "node:http";
import { get as overTls } from "node:https";
import { networkInterfaces } from "node:os";
import type { Config } from "../config/config.ts";
import { type Address, formatAddress, isWildcard } from "../lib/listen.ts";
import { parsePrefixes } from "../lib/prefixes.ts";

const ANSWER_MS = 3_000;
/** Layover's DNS answers this itself (RFC 9462 8.2), whomever it hijacks and whether or not its resolvers can be reached. */
const LOCAL_NAME = "_dns.resolver.arpa";

/** One text for each; none: it is ready. */
export const healthProblems = async (config: Config): Promise<string[]> =>
  (await Promise.all([frontProblem(config), dnsProblem(config)])).filter((text) => text !== undefined);

const frontProblem = async ({ listen, clients }: Config): Promise<string | undefined> => {
  const [plain] = listen.http;
  const [secure] = listen.https;
  const door = plain ?? secure;
  if (door === undefined) return undefined;
  const url = `${plain === undefined ? "https" : "http"}://${formatAddress(reachable(door, clients))}/readyz`;
  try {
    const { status, body } = await askFor(url);
    return status === 200 ? undefined : `${url}: ${status} ${body.trim()}`;
  } catch (error) {
    return `${url}: ${error instanceof Error ? error.message : String(error)}`;
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
