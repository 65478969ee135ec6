// containerd: what a kubelet pulls through (CRI), nerdctl, and ctr with --hosts-dir.
import type { Client } from "./clients.ts";
import { references, type Setup } from "./setup.ts";
import { head, hijack, hostsFiles, MADE, note, ownName, proxyDropIn, type Step, trustAll } from "./step.ts";

const CERTS = "/etc/containerd/certs.d";

/** The plug-in for Kubernetes looks into the folder only when it is told to; its section has another name since containerd 2. */
const configPath = (): Step[] => [
  head("The folder, for the CRI plug-in (ctr takes --hosts-dir, nerdctl looks there by itself)"),
  {
    do: "shared",
    path: "/etc/containerd/config.toml",
    holds: CERTS,
    content: `${MADE}
version = 2
imports = ["/etc/containerd/conf.d/*.toml"]

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "${CERTS}"
`,
    add: `where it says version = 2 (containerd 1):
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "${CERTS}"
where it says version = 3 or more (containerd 2):
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "${CERTS}"
`,
  },
  note(
    "After a change of config.toml, and only then: systemctl restart containerd (containers go on). Later files are read at each pull.",
  ),
];

const trusted = (setup: Setup): Step[] => [
  head("The CA certificate, for containerd; a hosts.toml in the same folder would hide it"),
  ...trustAll(setup, CERTS),
  ...configPath(),
];

const mirror = (setup: Setup): Step[] => [
  head("Layover's own name"),
  ...ownName(setup),
  head("Where to ask first for each registry"),
  ...hostsFiles(setup, CERTS, references(setup)),
  ...configPath(),
  note("Pushes go to the registries themselves, and so do pulls that Layover has no answer for."),
];

export const containerd: Client = {
  title: "containerd",
  doors: {
    hijack: (setup) => [...trusted(setup), ...hijack(setup)],
    mirror,
    proxy: (setup) => [...trusted(setup), ...proxyDropIn(setup, "containerd")],
  },
};
