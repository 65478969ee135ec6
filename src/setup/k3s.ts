// k3s and RKE2: containerd's files are made by them out of registries.yaml, when they start.
import type { Client } from "./clients.ts";
import { mirrorHost, references, type Setup } from "./setup.ts";
import { head, hijack, MADE, note, ownName, type Step } from "./step.ts";

const FOLDER = "/etc/rancher/k3s";
const CA = `${FOLDER}/layover.crt`;

const configs = (hosts: readonly string[]): string =>
  `configs:\n${hosts.map((host) => `  "${host}":\n    tls:\n      ca_file: ${CA}\n`).join("")}`;

const mirrors = (setup: Setup): string =>
  `mirrors:\n${references(setup)
    .map(({ name }) => `  "${name}":\n    endpoint:\n      - "https://${mirrorHost(setup)}"\n`)
    .join("")}`;

const registries = (content: string, holds: string): Step[] => [
  head("registries.yaml, and the CA certificate that it names (RKE2: the same in /etc/rancher/rke2)"),
  { do: "ca", path: CA },
  { do: "shared", path: `${FOLDER}/registries.yaml`, content: `${MADE}\n${content}`, add: content, holds },
  {
    do: "restart",
    unit: "k3s",
    why: "k3s reads it when it starts (on nodes that are agents alone, the unit is k3s-agent); pods go on",
  },
];

export const k3s: Client = {
  title: "k3s, RKE2",
  doors: {
    // It needs no DNS, and nodes only pull.
    mirror: (setup) => [
      head("Layover's own name"),
      ...ownName(setup),
      ...registries(mirrors(setup) + configs([mirrorHost(setup)]), `https://${mirrorHost(setup)}`),
      note(
        "What Layover has no answer for is asked of the registry itself, unless k3s runs with --disable-default-registry-endpoint.",
      ),
    ],
    hijack: (setup) => [...registries(configs(references(setup).map(({ name }) => name)), CA), ...hijack(setup)],
  },
};
