// What the name servers of this machine say of the sites' names: each of them, since clients may ask any.
import type { Ask, Reply } from "./doctor-ask.ts";
import type { NameServer } from "./doctor-client-system.ts";
import { type Finding, fail, ok, reasonOf, warn } from "./doctor-finding.ts";

export interface NameServersCheck {
  readonly servers: readonly NameServer[];
  readonly names: readonly string[];
  readonly isOurs: (address: string) => boolean;
  readonly ask: Ask;
  /** What makes this machine ask Layover. */
  readonly mend: string;
  /** Of each server; 53 but in tests. */
  readonly port?: number;
}

interface Seen {
  readonly server: NameServer;
  /** Why it gives no answer at all. */
  readonly silent?: string;
  readonly ours: readonly string[];
  /** `ghcr.io (203.0.113.7)` */
  readonly others: readonly string[];
  readonly aaaa: readonly string[];
  readonly https: readonly string[];
  /** Why not over TCP. */
  readonly tcp?: string;
}

export const checkNameServers = async (check: NameServersCheck): Promise<Finding[]> => {
  const { servers, names, mend } = check;
  if (names.length === 0) return [];
  if (servers.length === 0) return [fail("dns", "/etc/resolv.conf names no name server", mend)];
  const seen = await Promise.all(servers.map((server) => look(check, server)));
  const findings = judge(seen, mend);
  if (findings.length > 0) return findings;
  const list = seen.map(({ server }) => server.host).join(", ");
  return [ok("dns", `${list}: ${names.length} names lead to Layover, over UDP and TCP; AAAA and HTTPS leak nothing`)];
};

const look = async ({ names, isOurs, ask, port = 53 }: NameServersCheck, server: NameServer): Promise<Seen> => {
  const at = { host: server.host, port };
  const udp = (name: string, type: "A" | "AAAA" | "HTTPS") => ask({ server: at, name, type, transport: "udp" });
  const nothing = { server, ours: [], others: [], aaaa: [], https: [] };
  const first = await udp(names[0]!, "A").catch(reasonOf);
  if (typeof first === "string") return { ...nothing, silent: first };
  const [replies, tcp] = await Promise.all([
    Promise.all(names.map((name) => Promise.all((["A", "AAAA", "HTTPS"] as const).map((type) => udp(name, type))))).catch(
      reasonOf,
    ),
    ask({ server: at, name: names[0]!, type: "A", transport: "tcp" }).then(() => undefined, reasonOf),
  ]);
  if (typeof replies === "string") return { ...nothing, silent: replies };
  const isLed = (reply: Reply) => reply.addresses.length > 0 && reply.addresses.every(isOurs);
  const told = (name: string, list: readonly string[]) => `${name} (${list.join(", ") || "no address"})`;
  const each = names.map((name, i) => ({ name, a: replies[i]![0]!, aaaa: replies[i]![1]!, https: replies[i]![2]! }));
  return {
    server,
    ours: each.filter(({ a }) => isLed(a)).map(({ name }) => name),
    others: each.filter(({ a }) => !isLed(a)).map(({ name, a }) => told(name, a.addresses)),
    aaaa: each
      .filter(({ aaaa }) => aaaa.addresses.some((address) => !isOurs(address)))
      .map(({ name, aaaa }) => told(name, aaaa.addresses)),
    https: each.filter(({ https }) => https.count > 0).map(({ name }) => name),
    ...(tcp !== undefined && { tcp }),
  };
};

const judge = (seen: readonly Seen[], mend: string): Finding[] => {
  const answering = seen.filter(({ silent }) => silent === undefined);
  const silent = seen.flatMap(({ server, silent: why }) =>
    why === undefined ? [] : [judgeSilent(server, why, answering.length)],
  );
  const leading = answering.filter(({ ours }) => ours.length > 0);
  if (leading.length > 0) return [...silent, ...answering.flatMap((one) => judgeOne(one, mend))];
  const first = answering[0];
  if (first === undefined) return silent;
  const text = `this machine does not ask Layover: ${placeOf(first.server)} answers ${first.others[0]}`;
  return [...silent, fail("dns", text, mend)];
};

const placeOf = ({ host, from }: NameServer): string => `${host} (${from})`;

const judgeSilent = (server: NameServer, why: string, others: number): Finding => {
  const text = `${placeOf(server)} does not answer: ${why}`;
  if (others === 0) return fail("dns", text, "let UDP port 53 through to it, or start Layover");
  return warn("dns", `${text}; every look-up may wait for it`, "take it out");
};

const judgeOne = ({ server, ours, others, aaaa, https, tcp }: Seen, mend: string): Finding[] => {
  const at = placeOf(server);
  if (ours.length === 0) {
    const text = `a second name server beside Layover: ${at} answers ${others[0]}, and some clients ask all of them`;
    return [fail("dns", text, `let nobody but Layover be asked: ${mend}`)];
  }
  const leak = "whoever answers is not (only) Layover: let nobody else be asked";
  const list = (names: readonly string[]) => names.join(", ");
  return [
    ...(others.length === 0
      ? []
      : [
          fail(
            "dns",
            `${at} leads past Layover: ${list(others)}`,
            "is that site configured there? else something beside Layover answers",
          ),
        ]),
    ...(aaaa.length === 0 ? [] : [fail("dns", `${at}: AAAA leaks ${list(aaaa)}: clients with IPv6 go past Layover`, leak)]),
    ...(https.length === 0
      ? []
      : [fail("dns", `${at}: an HTTPS record leaks for ${list(https)}: clients may go past Layover`, leak)]),
    ...(tcp === undefined
      ? []
      : [
          fail(
            "dns",
            `DNS over TCP at ${at}: ${tcp}; long answers need it`,
            "let TCP port 53 through (firewall; with Docker publish 53/tcp besides 53/udp)",
          ),
        ]),
  ];
};
