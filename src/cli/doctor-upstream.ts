// Doctor's checks of the way out: each registry by name (our resolvers), TCP, TLS and one GET /v2/; and the clock, by what they say.
import type { IncomingHttpHeaders } from "node:http";
import { request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { plainHost } from "../lib/host-name.ts";
import type { ResolverAddress } from "../lib/resolver-address.ts";
import type { Site } from "../sites.ts";
import { agentTo } from "../upstream/agents.ts";
import { wayOut } from "../upstream/way.ts";
import type { Ask } from "./doctor-ask.ts";
import { type Finding, fail, ok, reasonOf, warn } from "./doctor-finding.ts";

export interface UpstreamCheck {
  readonly sites: readonly Site[];
  readonly resolversFor: (name: string) => readonly ResolverAddress[];
  readonly isOurs: (address: string) => boolean;
  readonly ask: Ask;
  readonly timeout: number;
}

interface Probe {
  readonly finding: Finding;
  /** Upstream's clock minus ours, in ms, where it told. */
  readonly skew: number | undefined;
}

/** Offline sites are left alone. The clock's finding comes last. */
export const checkUpstreams = async (check: UpstreamCheck): Promise<Finding[]> => {
  const online = check.sites.filter((site) => !site.offline && site.kind === "upstream");
  const probes = await Promise.all(online.flatMap((site) => site.upstreams.map((origin) => probe(check, site, origin))));
  return [...probes.map(({ finding }) => finding), judgeClock(probes.flatMap(({ skew }) => skew ?? []))];
};

const probe = async (check: UpstreamCheck, site: Site, origin: URL): Promise<Probe> => {
  const proxy = site.httpProxy;
  const through = proxy === undefined ? "" : ` through ${proxy.host}`;
  const name = `${origin.host === site.host ? site.host : `${site.host} (${origin.origin})`}${through}`;
  try {
    // a proxy looks upstreams' names up itself
    const { hostname } = proxy ?? origin;
    const address = await addressOf(check, hostname);
    if (address === undefined) return unreachable(name, `no resolver knows ${hostname}`, "see the resolvers above");
    if (proxy === undefined && check.isOurs(address) && isIP(hostname) === 0) {
      return unreachable(name, `${address} is Layover itself: a loop`, "name `resolvers` that do not ask Layover");
    }
    const { status, headers } = await get(site, origin, address, check.timeout);
    return { finding: judgeAnswer(name, status, headers), skew: skewOf(headers) };
  } catch (error) {
    return unreachable(name, explain(error), proxy === undefined ? mendOf(error) : `${mendOf(error)}; and at \`httpProxy\``);
  }
};

const unreachable = (name: string, reason: string, mend: string): Probe => ({
  finding: fail("upstream", `${name}: ${reason}; only what is held can be pulled`, mend),
  skew: undefined,
});

/** The first that any resolver gives: asked all at once, for the time is short. */
const addressOf = async ({ ask, resolversFor }: UpstreamCheck, hostname: string): Promise<string | undefined> => {
  const host = hostname.replace(/^\[|\]$/g, "");
  if (isIP(host) !== 0) return host;
  const questions = resolversFor(plainHost(host)).flatMap((server) =>
    (["A", "AAAA"] as const).map((type) => ask({ server, name: host, type, transport: "udp" }).catch(() => undefined)),
  );
  const addresses = (await Promise.all(questions)).flatMap((reply) => reply?.addresses ?? []);
  return addresses.find((address) => isIP(address) === 4) ?? addresses[0];
};

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

/** The way the server goes, but for its resolver: `address` is all that is known. */
const get = (site: Site, origin: URL, address: string, timeout: number): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const family = isIP(address);
    // Node asks for one address or for all of them.
    const lookup: LookupFunction = (_, { all }, done) =>
      all === true ? done(null, [{ address, family }]) : done(null, address, family);
    const agent = agentTo(origin, wayOut(site, { lookupFor: () => lookup, refuseOurs: () => undefined }));
    const options = { agent, signal: AbortSignal.timeout(timeout), headers: { "user-agent": "layover-doctor" } };
    const request = (origin.protocol === "https:" ? tlsRequest : plainRequest)(new URL("/v2/", origin), options);
    request.on("error", reject);
    request.on("response", (response) => {
      resolve({ status: response.statusCode ?? 0, headers: response.headers });
      response.destroy();
    });
    request.on("close", () => agent.destroy());
    request.end();
  });

const judgeAnswer = (name: string, status: number, headers: IncomingHttpHeaders): Finding => {
  const isRegistry = headers["docker-distribution-api-version"] !== undefined || status === 401 || status === 200;
  if (isRegistry) return ok("upstream", `${name} answers (${status})`);
  const mend = status >= 500 || status === 429 ? "wait; nothing here is wrong" : "is `upstream` right, and no proxy in between?";
  return warn("upstream", `${name} answers ${status}, as no registry does`, mend);
};

const TRUST_CODES = new Set([
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
]);

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? (error as Error).name;

const explain = (error: unknown): string => {
  if (TRUST_CODES.has(codeOf(error))) return "its certificate is from a CA that is not trusted here";
  if (/CERT_(NOT_YET_VALID|HAS_EXPIRED)/.test(codeOf(error))) return `its certificate is not valid now (${codeOf(error)})`;
  if (/TimeoutError|ABORT_ERR/.test(codeOf(error))) return "no answer in time";
  return reasonOf(error);
};

const mendOf = (error: unknown): string => {
  if (TRUST_CODES.has(codeOf(error))) return "put the CA of the proxy, or of the registry, into `trust`";
  if (/CERT_/.test(codeOf(error))) return "look at this machine's clock, then at the registry's certificate";
  return "look at firewall and routes from here to there";
};

const skewOf = (headers: IncomingHttpHeaders): number | undefined => {
  const date = Date.parse(headers.date ?? "");
  return Number.isNaN(date) ? undefined : date - Date.now();
};

const CLOCK_MS = 5 * 60_000;
const BUILT = Date.UTC(2026, 0);

/** By the middle one of what upstreams say; tokens and certificates fail when it is off. */
export const judgeClock = (skews: readonly number[], { now = Date.now(), whose = "the registries'" } = {}): Finding => {
  const mend = "let this machine keep time (chrony, systemd-timesyncd)";
  if (now < BUILT) return fail("clock", `it is ${new Date(now).toISOString()} here, which cannot be`, mend);
  const middle = skews.toSorted((a, b) => a - b)[Math.floor(skews.length / 2)];
  if (middle === undefined) return ok("clock", `${new Date(now).toISOString()} (nobody to compare it with)`);
  if (Math.abs(middle) < CLOCK_MS) return ok("clock", `agrees with ${whose}`);
  return fail("clock", `is off by ${Math.round(middle / 60_000)} minutes from ${whose}`, mend);
};
