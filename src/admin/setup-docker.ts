// What a Docker host needs to pull through Layover: as a page to read, and as a POSIX shell script that does it and can undo it.
// Both are pure functions of a DockerSetup. All that comes from outside is checked before it gets into the script.
import { readFileSync } from "node:fs";
import { isIP } from "node:net";

export interface DockerSetup {
  /** The names that Layover stands in for: hosts and aliases. */
  readonly names: readonly string[];
  /** Where questions for names go. */
  readonly dns: { readonly host: string; readonly port: number };
  /** What those names are answered with. */
  readonly answer: readonly string[];
  /** PEM: one certificate or more. */
  readonly ca: string;
  /** SHA-256 of each certificate, as `AA:BB:…`. */
  readonly fingerprints: readonly string[];
  /** Layover's plain HTTP door, where there is one: `http://layover` */
  readonly url: string | undefined;
}

const HUB = "registry-1.docker.io";

/** The folders under certs.d: containerd's image store looks for the Hub's as `docker.io`. */
export const certificateFolders = (names: readonly string[]): string[] => [
  ...names,
  ...(names.includes(HUB) ? ["docker.io"] : []),
];

/** A shell script (`sh`, dash, busybox) to be run as root on the Docker host. Throws Error for what is no name, address or certificate. */
export const dockerScript = (setup: DockerSetup): string => {
  const { names, dns, fingerprints } = checked(setup);
  const lines = [
    "#!/bin/sh",
    "# Makes this Docker host pull through Layover: its CA certificate, and its DNS. Run as root; `--undo` puts everything back.",
    "# Options: --undo | --fingerprint AA:BB:… (refuse another CA) | --root DIR | --no-dns | --no-store",
    "set -eu",
    "umask 022",
    `names='${certificateFolders(names).join(" ")}'`,
    `hijacked='${names.join(" ")}'`,
    `dns='${dns.host}'`,
    `port='${dns.port}'`,
    `fingerprints='${fingerprints.join(" ")}'`,
    "",
    "ca() {",
    "  cat <<'PEM'",
    certificatesOf(setup.ca).join("\n"),
    "PEM",
    "}",
    "",
    body(),
  ];
  return lines.join("\n");
};

/** The same script with nothing to set up: good for `--undo` only, which needs no CA. */
export const undoScript = (): string =>
  ["#!/bin/sh", "set -eu", "names= hijacked= dns= port=53 fingerprints=none", "ca() { :; }", body()].join("\n");

const body = (): string => readFileSync(new URL("./setup-docker.sh", import.meta.url), "utf8");

/** The same for a person: what to put where, in the variants that hosts come in. Throws as dockerScript does. */
export const dockerText = (setup: DockerSetup): string => {
  const { names, dns, answer, fingerprints } = checked(setup);
  const server = dns.port === 53 ? dns.host : `${dns.host}:${dns.port}`;
  const url = safeUrl(setup.url);
  return `${[
    `Layover answers for ${names.join(", ")}`,
    `with ${answer.join(", ")}; its DNS is ${server}. Its CA has the SHA-256 fingerprint`,
    ...fingerprints.map((print) => `  ${print}`),
    "",
    "1. Do it all, as root on the Docker host (any one of these; each can be undone with --undo):",
    "     layover setup docker --write",
    ...(url === undefined ? [] : [`     curl -fsS ${url}/setup/docker | sh -s -- --fingerprint ${fingerprints.join(",")}`]),
    "",
    "2. Or by hand. The CA certificate, for each name; no restart is needed:",
    ...certificateFolders(names).map((name) => `     /etc/docker/certs.d/${name}/ca.crt`),
    "   Rootless Docker: ~/.config/docker/certs.d instead. podman, buildah and skopeo read the same files.",
    ...(url === undefined ? [] : [`     curl -fsS ${url}/ca.crt -o ca.crt`]),
    ...(names.includes(HUB) ? HUB_TRAP : []),
    "",
    "3. The host's own resolver must ask Layover, and nobody beside it (Docker's `dns` setting is for containers only):",
    "   systemd-resolved: /etc/systemd/resolved.conf.d/layover.conf, then `systemctl restart systemd-resolved`",
    "     [Resolve]",
    `     DNS=${server}`,
    `     Domains=${names.map((name) => `~${name}`).join(" ")}`,
    ...(dns.port === 53 ? plainResolvers(dns.host) : ["   Others know port 53 only: give Layover's DNS that port (listen.dns)."]),
    "",
    "4. Docker in Docker: give the dind container the resolver and the certificates:",
    `     docker run --privileged --dns ${dns.host} -v /etc/docker/certs.d:/etc/docker/certs.d:ro docker:dind`,
    "   Docker Compose, with no DNS to change: let Layover have the names in the builders' network:",
    "     services:",
    "       layover:",
    "         networks:",
    "           default:",
    `             aliases: [${names.join(", ")}]`,
    "",
    `Then \`layover doctor\` on Layover's machine, and here: getent hosts ${names[0] ?? "ghcr.io"}   (expect ${answer[0] ?? "Layover's address"})`,
  ].join("\n")}\n`;
};

const HUB_TRAP = [
  "   Docker Hub with the classic image store (`docker info` shows no `io.containerd.snapshotter`): certs.d is not read for it.",
  "   The CA must be in the system's store, and Docker restarted once:",
  "     Debian, Ubuntu, Alpine: /usr/local/share/ca-certificates/layover.crt, then update-ca-certificates",
  "     Fedora, RHEL: /etc/pki/ca-trust/source/anchors/layover.crt, then update-ca-trust extract",
  "     systemctl restart docker",
];

const plainResolvers = (host: string): string[] => [
  "   NetworkManager: nmcli connection modify <name> ipv4.ignore-auto-dns yes ipv4.dns " +
    host +
    " && nmcli connection up <name>",
  "   neither: /etc/resolv.conf, with this as its only nameserver line",
  `     nameserver ${host}`,
];

const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
const PRINT = /^[0-9A-F]{2}(:[0-9A-F]{2}){31}$/;

const checked = (setup: DockerSetup): DockerSetup => {
  const { names, dns, fingerprints, answer, ca } = setup;
  for (const name of names) if (!NAME.test(name) || name.includes("..")) throw new Error(`not a name: ${JSON.stringify(name)}`);
  for (const address of [dns.host, ...answer])
    if (isIP(address) === 0) throw new Error(`not an address: ${JSON.stringify(address)}`);
  if (!Number.isInteger(dns.port)) throw new Error(`not a port: ${dns.port}`);
  const count = certificatesOf(ca).length;
  if (count === 0 || count !== fingerprints.length || !fingerprints.every((print) => PRINT.test(print))) {
    throw new Error("expected the CA's certificates in PEM form, with a SHA-256 fingerprint for each");
  }
  return setup;
};

/** The PEM blocks alone: nothing that a shell, or a reader, could take for something else. */
const certificatesOf = (pem: string): string[] =>
  pem.replaceAll("\r", "").match(/-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+\n-----END CERTIFICATE-----/g) ?? [];

/** It may have come with a request: only what is safe to paste into a shell. */
const safeUrl = (url: string | undefined): string | undefined =>
  url !== undefined && /^https?:\/\/[\w.:[\]-]+$/.test(url) ? url : undefined;
