// A set-up as a page to read: how to have it done, and what to put where by hand.
import type { ClientPlan } from "./clients.ts";
import { askedNames, certificatesOf, checked, dnsServer, plainNames, type Setup } from "./setup.ts";
import { type Door, isForElsewhere, type Step } from "./step.ts";

/** Without a set-up for what needs none. Throws Error for what is no name, address or certificate. */
export const textOf = (name: string, client: ClientPlan, door: Door, given: Setup | undefined): string => {
  const setup = given && checked(given);
  const steps = client.plans[door] ?? [];
  return `${[
    `${client.title}.${doorsOf(client, door)}`,
    ...(setup ? answersOf(setup) : []),
    ...(isForElsewhere(steps) ? [] : ["", ...byItself(name, client, door, setup)]),
    ...numbered(steps.flatMap((step) => linesOf(step, setup))),
    ...(setup && !isForElsewhere(steps) ? ["", ending(setup, door)] : []),
  ].join("\n")}\n`;
};

const doorsOf = ({ plans }: ClientPlan, door: Door): string => {
  const others = Object.keys(plans).filter((other) => other !== door);
  return others.length === 0 ? "" : ` By the ${door} door; there is also --door ${others.join(", --door ")}.`;
};

const answersOf = (setup: Setup): string[] => [
  `Layover answers for ${setup.names.join(", ")}`,
  `with ${setup.answer.join(", ")}; its DNS is ${dnsServer(setup)}. Its CA has the SHA-256 fingerprint`,
  ...setup.fingerprints.map((print) => `  ${print}`),
];

const ending = (setup: Setup, door: Door): string => {
  const name = (door === "hijack" ? plainNames(setup)[0] : undefined) ?? setup.mirror?.name ?? "layover";
  const doctor =
    setup.url === undefined
      ? "`layover doctor` on Layover's machine"
      : `curl -fsS ${setup.url}/doctor | sh${door === "hijack" ? "" : ` -s -- --door ${door}`}`;
  return `Then, here: getent hosts ${name}   (expect ${setup.answer.join(" or ")}), and: ${doctor}`;
};

const byItself = (name: string, client: ClientPlan, door: Door, setup: Setup | undefined): string[] => {
  const isFirst = Object.keys(client.plans)[0] === door;
  const more = isFirst ? "" : ` --door ${door}`;
  return [
    "0. Do it all, as root (either of these; each can be undone with --undo):",
    `     layover setup ${name} --write${more}`,
    ...(setup?.url === undefined
      ? []
      : [`     curl -fsS ${setup.url}/setup/${name} | sh -s -- --fingerprint ${setup.fingerprints.join(",")}${more}`]),
    "",
    "Or by hand:",
  ];
};

/** Heads are numbered, and what comes under them is indented. */
const numbered = (lines: readonly { readonly isHead: boolean; readonly text: string }[]): string[] => {
  let count = 0;
  return lines.flatMap(({ isHead, text }) => (isHead ? ["", `${++count}. ${text}:`] : [`   ${text}`.trimEnd()]));
};

interface Line {
  readonly isHead: boolean;
  readonly text: string;
}
const at = (text: string): Line => ({ isHead: false, text });
const under = (content: string): Line[] =>
  content
    .replace(/\n$/, "")
    .split("\n")
    .map((line) => at(`    ${line}`));

const linesOf = (step: Step, setup: Setup | undefined): Line[] =>
  (TEXT[step.do] as (step: Step, setup: Setup | undefined) => Line[])(step, setup);

type Texts = { readonly [K in Step["do"]]: (step: Extract<Step, { do: K }>, setup: Setup | undefined) => Line[] };

const TEXT: Texts = {
  head: ({ text }) => [{ isHead: true, text }],
  note: ({ text }) => [at(text)],
  guard: ({ path, text }) => [at(`Not where ${text} (${path}).`)],
  file: ({ path, content }) => [at(path), ...under(content)],
  ca: ({ path }, setup) => [at(`${path}, the CA certificate${fetched(setup?.url)}`)],
  trust: ({ folders: [first, ...others] }) => [
    at(`${first}/ca.crt${others.map((other) => `, or where there is ${other}: there`).join("")}`),
  ],
  shared: ({ path, content, add }) => [
    at(`${path}${add === undefined ? "" : ", where there is none yet"}`),
    ...under(content),
    ...(add === undefined
      ? [at("(where there is one already, this belongs into it; --write leaves it to you)")]
      : [at("and else into the one that there is (--write leaves that to you):"), ...under(add)]),
  ],
  host: ({ name, address }) => [
    at(`${name} must lead to Layover here: by the network's DNS, or in /etc/hosts`),
    ...under(`${address} ${name}`),
  ],
  store: ({ why }, setup) => [at(why), ...STORE(certificatesOf(setup?.ca ?? "").length).map(at)],
  resolver: (_, setup) => (setup ? RESOLVER(setup).map(at) : []),
  reload: ({ unit }) => [at(`systemctl reload ${unit}`)],
  restart: ({ unit, why, dropIn }) => [
    at(
      `${why}: ${dropIn ? "systemctl daemon-reload && " : ""}systemctl restart ${unit}, when it suits (--write does it with --restart only)`,
    ),
  ],
  start: ({ unit }) => [at(`systemd-sysusers && systemctl daemon-reload && systemctl enable --now ${unit}`)],
  show: ({ title, content }) => [{ isHead: true, text: title }, ...under(content)],
};

const fetched = (url: string | undefined): string => (url === undefined ? "" : `: curl -fsS ${url}/ca.crt`);

const STORE = (count: number): string[] => [
  `One certificate in a file${count > 1 ? `, so layover-ca-1.crt to layover-ca-${count}.crt` : ", layover-ca-1.crt"}:`,
  "    Debian, Ubuntu, Alpine: /usr/local/share/ca-certificates, then update-ca-certificates",
  "    Fedora, RHEL: /etc/pki/ca-trust/source/anchors, then update-ca-trust extract",
  "    SUSE: /etc/pki/trust/anchors, then update-ca-certificates",
  "    Arch: /etc/ca-certificates/trust-source/anchors, then trust extract-compat",
];

const RESOLVER = (setup: Setup): string[] => {
  const { dns } = setup;
  const others =
    dns.port === 53
      ? [
          "NetworkManager: /etc/NetworkManager/conf.d/90-layover.conf, then `systemctl reload NetworkManager`",
          ...["[global-dns]", "[global-dns-domain-*]", `servers=${dns.host}`].map((line) => `    ${line}`),
          "neither: /etc/resolv.conf, with this as its only nameserver line",
          `    nameserver ${dns.host}`,
        ]
      : ["Others know port 53 only: give Layover's DNS that port (listen.dns)."];
  return [
    "systemd-resolved: /etc/systemd/resolved.conf.d/layover.conf, then `systemctl restart systemd-resolved`",
    "    [Resolve]",
    `    DNS=${dnsServer(setup)}`,
    `    Domains=${askedNames(setup)
      .map((name) => `~${name}`)
      .join(" ")}`,
    ...others,
  ];
};
