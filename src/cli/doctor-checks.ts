// Which checks a configuration calls for, and what each is told.
import { readFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { leftOf, readMark } from "../admin/bypass-mark.ts";
import type { Config } from "../config/config.ts";
import { namedAnswers } from "../lib/answers.ts";
import { suffixOf } from "../lib/host-table.ts";
import { fromHere, isWildcard } from "../lib/listen.ts";
import { parsePrefixes, plainAddress } from "../lib/prefixes.ts";
import { parseResolver, type ResolverAddress } from "../lib/resolver-address.ts";
import { ZoneTable } from "../lib/zone-table.ts";
import type { Site } from "../sites.ts";
import { readRoots } from "./ca-roots.ts";
import { checkAnswer } from "./doctor-answer.ts";
import { type Ask, asking, type Encrypted } from "./doctor-ask.ts";
import { checkAuthority, checkDockerTrust } from "./doctor-ca.ts";
import { checkNames, checkResolvers, checkSystemResolver } from "./doctor-dns.ts";
import { type Finding, ok, warn } from "./doctor-finding.ts";
import { checkHelpers } from "./doctor-helper.ts";
import { checkContainer, checkDisk, checkPorts, type Door } from "./doctor-host.ts";
import { checkUpstreams } from "./doctor-upstream.ts";

export interface PlannedCheck {
  readonly check: Finding["check"];
  readonly run: () => Promise<Finding[]>;
}

const DOCKER_CERTIFICATES = "/etc/docker/certs.d";

/** `timeout`: milliseconds for each question and request. */
export const checksOf = (config: Config, timeout: number): PlannedCheck[] => {
  const { sites, ca, data, maxSize, answer } = config;
  const named = namedAnswers(config);
  const names = sites.flatMap((site) => site.hijackNames);
  const suffixes = config.wildcards.map((site) => suffixOf(site.host));
  const ask = asking(timeout, encryptedOf(config));
  const isOurs = ownAddresses(config);
  const resolvers = config.resolvers.map(parseResolver);
  const [name] = namesIn([...sites, ...config.wildcards]);
  return [
    { check: "bypass", run: () => bypassOf(config) },
    { check: "dns", run: () => namesOf(config, isOurs, timeout) },
    ...(name === undefined
      ? []
      : ([
          { check: "dns", run: () => systemResolver(config, isOurs, ask) },
          { check: "resolvers", run: () => checkResolvers({ resolvers, name: upstreamName(config) ?? name, isOurs, ask }) },
        ] as const)),
    ...config.splits.map(({ zone, resolvers: list }) => ({
      check: "resolvers" as const,
      run: () => checkResolvers({ resolvers: list.map(parseResolver), name: zone, isZone: true, isOurs, ask }),
    })),
    { check: "ca", run: () => checkAuthority({ ...ca, names: [...names, ...suffixes, ...config.names], now: Date.now() }) },
    { check: "docker", run: () => dockerTrust(ca.certificate, names) },
    { check: "ports", run: () => checkPorts(doorsOf(config.listen)) },
    {
      check: "answer",
      run: () => checkAnswer({ answer: named.length === 0 ? "auto" : named, interfaces: interfaces(), timeout }),
    },
    {
      check: "upstream",
      run: () =>
        checkUpstreams({
          sites,
          resolversFor: resolversOf(config),
          isOurs,
          ask: asking(timeout / 2, encryptedOf(config)),
          timeout,
        }),
    },
    { check: "helper", run: () => checkHelpers(sites, timeout) },
    { check: "disk", run: () => checkDisk(data, maxSize) },
    { check: "container", run: () => checkContainer(answer) },
  ];
};

const bypassOf = async (config: Config): Promise<Finding[]> => {
  const text = "on somebody's word hijacked names lead to the registries themselves";
  return (await isBypassed(config)) ? [warn("bypass", text, "layover bypass off")] : [];
};

const isBypassed = async ({ data }: Config): Promise<boolean> => {
  const mark = await readMark(data);
  return mark !== undefined && leftOf(mark, Date.now) !== 0;
};

/** What is to lead here at this moment. */
const hijackedNow = async (config: Config): Promise<string[]> => {
  const bypassed = await isBypassed(config);
  return namesIn([...config.sites, ...config.wildcards].filter(({ failOpen }) => !bypassed || !failOpen));
};

/** Any host below a wildcard's suffix is answered alike. */
const namesIn = (sites: readonly Pick<Site, "host" | "hijackNames">[]): string[] =>
  sites.flatMap(({ host, hijackNames }) => (hijackNames.length > 0 ? hijackNames : [host.replace("*.", "layover-doctor.")]));

const systemResolver = async (config: Config, isOurs: (address: string) => boolean, ask: Ask): Promise<Finding[]> => {
  const [name] = await hijackedNow(config);
  return name === undefined ? [] : [await checkSystemResolver({ resolvConf: await resolvConf(), name, isOurs, ask })];
};

const namesOf = async (config: Config, isOurs: (address: string) => boolean, timeout: number): Promise<Finding[]> => {
  const doors = config.listen.dns.map(fromHere);
  if (doors.length === 0) return [ok("dns", "is turned off (listen.dns)")];
  const names = await hijackedNow(config);
  if (names.length === 0) return [];
  const hijacks = parsePrefixes(config.hijackFor);
  const results = doors.map((server) => {
    // To a specific address of ours the kernel comes from that same address.
    if (hijacks(server.host)) return checkNames({ server, names, isOurs, ask: asking(timeout) });
    return Promise.resolve([
      warn("dns", `${server.host} is not in hijackFor: what clients see cannot be seen from here`, "run it on a client that is"),
    ]);
  });
  return (await Promise.all(results)).flat();
};

const interfaces = (): string[] =>
  Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((entry) => entry.address));

/** What `answer` says, or this machine's addresses. */
const ownAddresses = (config: Config): ((address: string) => boolean) => {
  const listed = config.listen.https.filter(({ host }) => !isWildcard(host)).map(({ host }) => host);
  const own = new Set([...namedAnswers(config), ...listed, ...interfaces()].map(plainAddress));
  return (address) => own.has(plainAddress(address));
};

const resolversOf = ({ resolvers, splits }: Config): ((name: string) => readonly ResolverAddress[]) => {
  const table = new ZoneTable(splits.map((one) => [one.zone, one.resolvers.map(parseResolver)] as const));
  const rest = resolvers.map(parseResolver);
  return (name) => table.find(name) ?? rest;
};

const encryptedOf = ({ trust, resolvers }: Config): Encrypted => ({
  trust,
  plain: resolvers.map(parseResolver).filter((resolver) => resolver.kind === "plain"),
});

const doorsOf = ({ dns, https, http, proxy, admin }: Config["listen"]): Door[] => [
  ...dns.flatMap((address) => (["udp", "tcp"] as const).map((transport) => ({ key: "listen.dns", transport, address }))),
  ...Object.entries({ https, http, proxy, admin: admin === undefined ? [] : [admin] }).flatMap(([door, list]) =>
    list.map((address) => ({ key: `listen.${door}`, transport: "tcp" as const, address })),
  ),
];

const resolvConf = (): Promise<string> => readFile("/etc/resolv.conf", "utf8").catch(() => "");

const dockerTrust = async (certificate: string, names: readonly string[]): Promise<Finding[]> => {
  const roots = await readRoots(certificate);
  return typeof roots === "string" ? [] : checkDockerTrust(roots, names, DOCKER_CERTIFICATES);
};

const upstreamName = ({ sites }: Config): string | undefined =>
  sites.flatMap((site) => site.upstreams.map((origin) => origin.hostname)).find((host) => /[a-z]/i.test(host));
