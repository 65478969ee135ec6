// Doctor's checks of names: does Layover's DNS answer, does nothing real leak, whom does this machine ask, do the resolvers work.
import type { Address } from "../lib/listen.ts";
import { formatAddress } from "../lib/listen.ts";
import { formatResolver, type ResolverAddress } from "../lib/resolver-address.ts";
import type { Ask, Reply } from "./doctor-ask.ts";
import { type Finding, fail, ok, reasonOf, warn } from "./doctor-finding.ts";

export interface NamesCheck {
  /** Where Layover's DNS listens, as one asks it from here. */
  readonly server: Address;
  readonly names: readonly string[];
  readonly isOurs: (address: string) => boolean;
  readonly ask: Ask;
}

/** For every name: A is ours, AAAA and HTTPS tell nothing real; and TCP/53 works, which truncated answers need. */
export const checkNames = async ({ server, names, isOurs, ask }: NamesCheck): Promise<Finding[]> => {
  const at = formatAddress(server);
  const first = await ask({ server, name: names[0] ?? "layover.invalid", type: "A", transport: "udp" }).catch(reasonOf);
  if (typeof first === "string") {
    return [
      fail("dns", `Layover's DNS on ${at} does not answer: ${first}`, "start it (`layover serve`), or mend what its log says"),
    ];
  }
  const [wrong, tcp] = await Promise.all([
    Promise.all(names.map((name) => checkName({ server, names, isOurs, ask }, name))),
    checkTcp({ server, names, isOurs, ask }),
  ]);
  const findings = [...wrong.flat(), tcp];
  if (findings.some(({ status }) => status !== "ok")) return findings.filter(({ status }) => status !== "ok");
  return [
    ok(
      "dns",
      `${at} answers ${names.length} names with ${first.addresses.join(", ")}, over UDP and TCP; AAAA and HTTPS leak nothing`,
    ),
  ];
};

const checkName = async ({ server, isOurs, ask }: NamesCheck, name: string): Promise<Finding[]> => {
  try {
    const [a, aaaa, https] = await Promise.all(
      (["A", "AAAA", "HTTPS"] as const).map((type) => ask({ server, name, type, transport: "udp" })),
    );
    return [judgeA(name, a!, isOurs), judgeLeak(name, aaaa!, https!, isOurs)].filter((finding) => finding !== undefined);
  } catch (error) {
    return [fail("dns", `${name}: ${reasonOf(error)}`, "see Layover's log")];
  }
};

const judgeA = (name: string, { addresses, rcode }: Reply, isOurs: (address: string) => boolean): Finding | undefined => {
  if (addresses.length === 0)
    return fail("dns", `${name} has no address (rcode ${rcode})`, "set `answer` to the address that clients reach Layover by");
  if (addresses.every(isOurs)) return undefined;
  return fail(
    "dns",
    `${name} is answered with ${addresses.join(", ")}, which is not Layover`,
    "its front end is not well, so names lead past it (see /readyz), a bypass is on (`layover bypass status`), or `hijackFor` or a container without `answer` leaves this machine out",
  );
};

/** A real IPv6 address, or one within an HTTPS record (RFC 9460 7.3), leads clients past us. */
const judgeLeak = (name: string, aaaa: Reply, https: Reply, isOurs: (address: string) => boolean): Finding | undefined => {
  const real = aaaa.addresses.filter((address) => !isOurs(address));
  const mend = "whoever answers there is not (only) Layover: let clients ask nobody beside it";
  if (real.length > 0) return fail("dns", `${name}: AAAA leaks ${real.join(", ")}: clients with IPv6 go past Layover`, mend);
  if (https.count > 0) return fail("dns", `${name}: an HTTPS record leaks: clients may go past Layover`, mend);
  return undefined;
};

const checkTcp = async ({ server, names, ask }: NamesCheck): Promise<Finding> => {
  const question = { server, name: names[0] ?? "layover.invalid", type: "A", transport: "tcp" } as const;
  const reply = await ask(question).catch(reasonOf);
  if (typeof reply !== "string") return ok("dns", "TCP answers");
  const text = `DNS over TCP on ${formatAddress(server)}: ${reply}; long answers need it`;
  return fail("dns", text, "let TCP port 53 through (firewall; with Docker publish 53/tcp besides 53/udp)");
};

/** The first nameserver of resolv.conf; undefined: none. */
export const firstNameserver = (resolvConf: string): string | undefined =>
  /^[ \t]*nameserver[ \t]+([^\s#;%]+)/m.exec(resolvConf)?.[1];

export interface SystemResolverCheck {
  readonly resolvConf: string;
  readonly name: string;
  readonly isOurs: (address: string) => boolean;
  readonly ask: Ask;
}

/** Matters when Docker runs on this machine as well. */
export const checkSystemResolver = async ({ resolvConf, name, isOurs, ask }: SystemResolverCheck): Promise<Finding> => {
  const host = firstNameserver(resolvConf);
  if (host === undefined)
    return warn("dns", "/etc/resolv.conf names no nameserver", "`layover setup docker --write`, if Docker runs here");
  const question = { server: { host, port: 53 }, name, type: "A", transport: "udp" } as const;
  const reply = await ask(question).catch(reasonOf);
  if (typeof reply === "string") {
    return warn(
      "dns",
      `this machine's own resolver ${host} does not answer: ${reply}`,
      "see /etc/resolv.conf; Layover itself does not use it",
    );
  }
  if (reply.addresses.length > 0 && reply.addresses.every(isOurs))
    return ok("dns", `this machine's own resolver ${host} asks Layover`);
  return warn(
    "dns",
    `this machine's own resolver ${host} answers ${name} with ${reply.addresses.join(", ") || "nothing"}, so what runs here pulls past Layover`,
    "fine, if Docker does not run here; else `layover setup docker --write`",
  );
};

export interface ResolversCheck {
  readonly resolvers: readonly ResolverAddress[];
  /** A hijacked name: the resolvers must know the real one. */
  readonly name: string;
  /** It is a zone that they are asked for alone, and need have no address. */
  readonly isZone?: boolean;
  readonly isOurs: (address: string) => boolean;
  readonly ask: Ask;
}

/** Each must answer by itself: Layover fails over, at the price of a wait. */
export const checkResolvers = (check: ResolversCheck): Promise<Finding[]> =>
  Promise.all(check.resolvers.map((server) => checkResolver(check, server)));

const checkResolver = async (
  { name, isZone = false, isOurs, ask, resolvers }: ResolversCheck,
  server: ResolverAddress,
): Promise<Finding> => {
  const at = formatResolver(server);
  const reply = await ask({ server, name, type: "A", transport: "udp" }).catch(reasonOf);
  const mend = isZone
    ? `set its entry in \`resolvers\` ({ "${name}": … }) to one that this machine reaches`
    : "set `resolvers` (LAYOVER_RESOLVERS) to servers that this machine reaches, such as the network's own";
  if (typeof reply === "string") return (resolvers.length > 1 ? warn : fail)("resolvers", `${at}: ${reply}`, mend);
  if (reply.rcode === 5) return fail("resolvers", `${at} refuses to answer`, mend);
  if (reply.rcode === 2) return warn("resolvers", `${at} fails for ${name} (SERVFAIL)`, mend);
  if (reply.addresses.some(isOurs)) {
    return fail(
      "resolvers",
      `${at} answers ${name} with Layover's own address: it asks Layover`,
      "name one in `resolvers` that does not ask Layover",
    );
  }
  if (isZone) return ok("resolvers", `${at} answers for ${name}`);
  if (reply.addresses.length === 0) return warn("resolvers", `${at} answers, and knows no address of ${name}`, mend);
  return ok("resolvers", `${at} answers ${name} with ${reply.addresses[0]}`);
};
