// The steps that a set-up consists of. A client is a list of them for each door; what a step means is said once in text.ts, for readers,
// and once in script.ts with setup.sh, for machines. Paths are those of root; `--user` puts some of them under ~/.config.
import { certificateFolders, mirrorHost, proxyUrl, type Setup } from "./setup.ts";

/**
 * How requests reach Layover: under the registry's own name (DNS), under Layover's own, or by CONNECT. Where a client has several,
 * the first is what it gets unasked.
 */
export type Door = "hijack" | "mirror" | "proxy";

export type Step =
  /** What the next steps are for. */
  | { readonly do: "head"; readonly text: string }
  /** To be known; nothing to do. */
  | { readonly do: "note"; readonly text: string }
  /** Nothing at all is done where a line of the file matches (a basic regular expression). */
  | { readonly do: "guard"; readonly path: string; readonly pattern: string; readonly text: string }
  /** A file that is ours alone, such as a drop-in. */
  | { readonly do: "file"; readonly path: string; readonly content: string }
  /** The CA's certificates as a file of ours. */
  | { readonly do: "ca"; readonly path: string }
  /** The CA for one host, beside whatever is there: in the first folder that there is, else in the first. */
  | { readonly do: "trust"; readonly folders: readonly [string, ...string[]] }
  /** The user's own file: made where there is none, else left as it is; `holds` in it shows that it says what it should. */
  | { readonly do: "shared"; readonly path: string; readonly content: string; readonly holds: string; readonly add?: string }
  /** A name that must lead to an address. */
  | { readonly do: "host"; readonly name: string; readonly address: string }
  /** The CA in the system's own store; `optional` where a host without one can do without. */
  | { readonly do: "store"; readonly why: string; readonly optional?: true }
  /** This host asks Layover, and nobody beside it. */
  | { readonly do: "resolver" }
  /** Where files were changed, this loads them, without harm to what runs. */
  | { readonly do: "reload"; readonly unit: string }
  /** The same where it interrupts something: done with `--restart` only. `dropIn`: the unit itself is another. */
  | { readonly do: "restart"; readonly unit: string; readonly why: string; readonly dropIn?: true }
  /** A unit of ours: enabled and started, and before an undo stopped. */
  | { readonly do: "start"; readonly unit: string }
  /** For elsewhere, or for a file that nobody but its owner can merge. */
  | { readonly do: "show"; readonly title: string; readonly content: string };

export const head = (text: string): Step => ({ do: "head", text });
export const note = (text: string): Step => ({ do: "note", text });
export const show = (title: string, content: string): Step => ({ do: "show", title, content });
export const file = (path: string, content: string): Step => ({ do: "file", path, content });

/** Whether there is nothing to do on the machine at hand. */
export const isForElsewhere = (steps: readonly Step[]): boolean =>
  steps.every(({ do: what }) => what === "head" || what === "note" || what === "show");

/** The mark in every file that is ours. */
export const MADE = "# Made by the set-up of Layover.";

/** The CA for every name, in a folder of Docker's pattern. */
export const trustAll = (setup: Setup, ...bases: readonly [string, ...string[]]): Step[] =>
  certificateFolders(setup).map((name) => trustOne(name, ...bases));

export const trustOne = (name: string, base: string, ...others: readonly string[]): Step => ({
  do: "trust",
  folders: [`${base}/${name}`, ...others.map((other) => `${other}/${name}`)],
});

/** Where the resolver is what leads clients here, and names below a suffix have no folder of their own. */
export const hijack = (setup: Setup): Step[] => [
  head("DNS: this host asks Layover, and nobody beside it"),
  { do: "resolver" },
  ...setup.names
    .filter((name) => name.startsWith("*."))
    .map((name) =>
      note(
        `Of the names below ${name.slice(2)}, each that is used needs its own folder with the CA, or the CA in the system's store.`,
      ),
    ),
];

/** For the mirror door: Layover's own name leads to it. */
export const ownName = (setup: Setup): Step[] => {
  mirrorHost(setup);
  return [{ do: "host", name: setup.mirror!.name, address: setup.answer[0]! }];
};

/** A drop-in for a service of systemd: it goes out through the proxy door. */
export const proxyDropIn = (setup: Setup, unit: string): Step[] => [
  head(`The proxy, for ${unit}`),
  file(
    `/etc/systemd/system/${unit}.service.d/layover.conf`,
    `${MADE}\n[Service]\nEnvironment="HTTPS_PROXY=${proxyUrl(setup)}" "NO_PROXY=localhost,127.0.0.0/8,::1"\n`,
  ),
  { do: "restart", unit, why: `${unit} reads its environment when it starts`, dropIn: true },
];

/** A hosts.toml with its CA for each registry, as containerd and Docker's containerd image store read them. */
export const hostsFiles = (setup: Setup, base: string, list: readonly { name: string; host: string }[]): Step[] =>
  list.flatMap(({ name, host }) => [
    { do: "ca" as const, path: `${base}/${name}/layover.crt` },
    {
      do: "shared" as const,
      path: `${base}/${name}/hosts.toml`,
      content: hostsToml(mirrorHost(setup), host),
      holds: `[host."https://${mirrorHost(setup)}"]`,
    },
  ]);

// Without "resolve" tags would go past the mirror; `server` is where it goes when the mirror has no answer, and for pushes.
const hostsToml = (mirror: string, host: string): string => `${MADE}
server = "https://${host}"

[host."https://${mirror}"]
  capabilities = ["pull", "resolve"]
  ca = "layover.crt"
`;
