// `layover health`: whether the appliance that runs beside this command, with the same configuration, is well. For a container's
// health check, which must not need a shell or curl: silent and 0, or one line on stderr and 1.
import { get as overHttp } from "node:http";
import { get as overTls } from "node:https";
import { networkInterfaces } from "node:os";
import type { Command } from "commander";
import type { Config } from "../config/config.ts";
import { type Address, formatAddress, isWildcard } from "../lib/listen.ts";
import { parsePrefixes } from "../lib/prefixes.ts";

const ANSWER_MS = 3_000;
/** Layover's DNS answers this itself (RFC 9462 8.2), whomever it hijacks and whether or not its resolvers can be reached. */
const LOCAL_NAME = "_dns.resolver.arpa";

/** Adds `health` to the program. Exit status 1: it is not ready, or not there. */
export const healthCommand = (program: Command): void => {
  program
    .command("health")
    .description("say by the exit status whether Layover on this machine is ready; for health checks")
    .option("-c, --config <file>", "default: LAYOVER_CONFIG, else ./layover.yaml")
    .action(async (options: { config?: string }) => {
      const { configOrExit } = await import("./config.ts");
      const config = await configOrExit(options.config);
      if (config === undefined) return;
      const problems = (await Promise.all([frontProblem(config), dnsProblem(config)])).filter((text) => text !== undefined);
      if (problems.length === 0) return;
      process.stderr.write(`${problems.join("; ")}\n`);
      process.exitCode = 1;
    });
};

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
