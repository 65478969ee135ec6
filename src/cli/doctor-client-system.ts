// How this machine looks names up, by its files: resolv.conf, nsswitch.conf, hosts, and what systemd-resolved was told.
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { type Finding, fail, ok, warn } from "./doctor-finding.ts";

export interface NameServer {
  readonly host: string;
  /** For people: where it is written. */
  readonly from: string;
}

export interface Resolved {
  readonly dns: readonly string[];
  /** Routing domains, without the `~`; `.` is all. */
  readonly domains: readonly string[];
  readonly dnssec: string;
  readonly dnsOverTls: string;
}

export interface System {
  readonly servers: readonly NameServer[];
  /** Name → address, as /etc/hosts has it. */
  readonly hosts: ReadonlyMap<string, string>;
  /** The sources of nsswitch.conf's `hosts`; none: the file, or the line, is not there. */
  readonly sources: readonly string[];
  /** Where systemd-resolved is what resolv.conf names. */
  readonly resolved: Resolved | undefined;
}

const RESOLVED_FOLDERS = ["/usr/lib", "/run", "/etc"];

/** `root`: the folder that is `/`. */
export const readSystem = async (root: string, names: readonly string[]): Promise<System> => {
  const read = (path: string) => readFile(join(root, path), "utf8").catch(() => "");
  const [resolvConf, hosts, nsswitch] = await Promise.all(["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"].map(read));
  const listed = nameserversOf(resolvConf!);
  const resolved = listed.some((host) => /^127\.0\.0\.5[34]$/.test(host)) ? await readResolved(root) : undefined;
  const behind = resolved && behindStub(resolved, nameserversOf(await read("/run/systemd/resolve/resolv.conf")), names);
  return {
    servers: [
      ...listed.map((host) => ({ host, from: "/etc/resolv.conf" })),
      ...externalServers(resolvConf!).map((host) => ({ host, from: "Docker's DNS asks it (`dns` of the container)" })),
      ...(behind ?? []).map((host) => ({ host, from: "systemd-resolved asks it" })),
    ],
    hosts: hostsOf(hosts!),
    sources: sourcesOf(nsswitch!),
    resolved,
  };
};

export const nameserversOf = (resolvConf: string): string[] => [
  ...new Set([...resolvConf.matchAll(/^[ \t]*nameserver[ \t]+([^\s#;%]+)/gm)].map(([, host]) => host!)),
];

/** Docker notes in a container's resolv.conf whom its own DNS asks: `# ExtServers: [8.8.8.8 host(10.0.0.2)]`. */
const externalServers = (resolvConf: string): string[] => {
  const [, list = ""] = /^# ExtServers: \[([^\]]*)\]/m.exec(resolvConf) ?? [];
  // what the host asks is not for the container to ask
  return list.split(/\s+/).filter((entry) => /^[0-9a-f.:]+$/i.test(entry));
};

/** Routed to the servers of resolved.conf the names go to those alone; else to all that any link brought along. */
const behindStub = ({ dns, domains }: Resolved, all: readonly string[], names: readonly string[]): readonly string[] => {
  const isRouted = names.every((name) => domains.some((domain) => domain === "." || `.${name}`.endsWith(`.${domain}`)));
  return isRouted && dns.length > 0 ? dns : all;
};

const readResolved = async (root: string): Promise<Resolved> => {
  const files = new Map<string, string>();
  for (const folder of RESOLVED_FOLDERS) {
    const dir = join(root, folder, "systemd/resolved.conf.d");
    const names = await readdir(dir).catch(() => []);
    for (const name of names) if (name.endsWith(".conf")) files.set(name, join(dir, name));
  }
  const ordered = [...files.values()].toSorted((a, b) => (basename(a) < basename(b) ? -1 : 1));
  const texts = [join(root, "/etc/systemd/resolved.conf"), ...ordered].map((file) => readFile(file, "utf8").catch(() => ""));
  return parseResolved((await Promise.all(texts)).join("\n"));
};

/** Lists grow from line to line, and an empty one begins anew; of the rest the last counts. */
export const parseResolved = (text: string): Resolved => {
  const lists: Record<"DNS" | "Domains", string[]> = { DNS: [], Domains: [] };
  const last = new Map<string, string>();
  for (const [, key, value = ""] of text.matchAll(/^[ \t]*(\w+)[ \t]*=[ \t]*(.*?)[ \t]*$/gm)) {
    last.set(key!, value.toLowerCase());
    if (key === "DNS" || key === "Domains") lists[key] = value === "" ? [] : [...lists[key], ...value.split(/\s+/)];
  }
  return {
    dns: lists.DNS.map(serverOf),
    domains: lists.Domains.filter((domain) => domain.startsWith("~")).map((domain) => domain.slice(1).replace(/^\.(?=.)/, "")),
    dnssec: last.get("DNSSEC") ?? "",
    dnsOverTls: last.get("DNSOverTLS") ?? "",
  };
};

/** `10.0.0.5:5353%eth0#name`, of which only the address is taken; `[fe80::1]:53`. */
const serverOf = (text: string): string => {
  const plain = text.replace(/[#%].*$/, "");
  const [, bracketed] = /^\[([^\]]*)/.exec(plain) ?? [];
  return bracketed ?? plain.replace(/^([\d.]+):\d+$/, "$1");
};

const hostsOf = (text: string): Map<string, string> => {
  const lines = text.split("\n").map((line) => line.replace(/#.*/, "").trim().split(/\s+/));
  return new Map(lines.flatMap(([address, ...names]) => names.map((name) => [name.toLowerCase(), address!] as const)));
};

const sourcesOf = (nsswitch: string): string[] => {
  const [, list = ""] = /^[ \t]*hosts:(.*)$/m.exec(nsswitch.replace(/#.*/g, "")) ?? [];
  return list
    .replace(/\[[^\]]*\]/g, " ")
    .split(/\s+/)
    .filter(Boolean);
};

/** What the files alone tell. */
export const checkSystem = (system: System, names: readonly string[], isOurs: (address: string) => boolean): Finding[] => {
  const findings = [
    ...names.flatMap((name) => judgeHosts(name, system.hosts.get(name), isOurs) ?? []),
    judgeSources(system.sources),
    ...(system.resolved === undefined ? [] : judgeResolved(system.resolved)),
  ].filter((finding) => finding !== undefined);
  if (findings.length > 0) return findings;
  const list = system.servers.map(({ host }) => host).join(", ") || "nobody";
  return [ok("system", `names are asked of ${list}; nothing in /etc/hosts or nsswitch.conf goes before it`)];
};

const judgeHosts = (name: string, address: string | undefined, isOurs: (address: string) => boolean): Finding | undefined => {
  if (address === undefined) return undefined;
  const mend = `take ${name} out of /etc/hosts`;
  if (isOurs(address)) return warn("system", `/etc/hosts leads ${name} to Layover, well or not: nothing steps aside then`, mend);
  return fail("system", `/etc/hosts gives ${name} as ${address}, before any DNS is asked`, mend);
};

const judgeSources = (sources: readonly string[]): Finding | undefined => {
  if (sources.length === 0 || sources.includes("dns") || sources.includes("resolve")) return undefined;
  return fail(
    "system",
    `/etc/nsswitch.conf looks hosts up by ${sources.join(" ")}: no DNS at all`,
    "add `dns` to its line `hosts:`",
  );
};

const judgeResolved = ({ dnssec, dnsOverTls }: Resolved): (Finding | undefined)[] => {
  const apply = "in /etc/systemd/resolved.conf.d/layover.conf, then `systemctl restart systemd-resolved`";
  return [
    /^(yes|true|1|on)$/.test(dnssec)
      ? fail("system", "systemd-resolved checks DNSSEC, so it refuses Layover's answers for signed names", `DNSSEC=no ${apply}`)
      : undefined,
    dnssec === "allow-downgrade"
      ? warn("system", "systemd-resolved checks DNSSEC where it can, and may refuse Layover's answers", `DNSSEC=no ${apply}`)
      : undefined,
    /^(yes|true|1|on)$/.test(dnsOverTls)
      ? fail(
          "system",
          "systemd-resolved asks by TLS alone, which Layover's DNS does not speak",
          `DNSOverTLS=opportunistic ${apply}`,
        )
      : undefined,
  ];
};
