// podman, buildah, skopeo and CRI-O. They read one folder of certificates for a host, the first that there is, and merge nothing.
import type { Client } from "./clients.ts";
import { mirrorHost, proxyUrl, references, type Setup } from "./setup.ts";
import { file, head, hijack, MADE, note, ownName, type Step, trustAll, trustOne } from "./step.ts";

const CERTS = ["/etc/containers/certs.d", "/etc/docker/certs.d"] as const;

const trusted = (setup: Setup): Step[] => [
  head("The CA certificate, for podman, buildah, skopeo and CRI-O"),
  ...trustAll(setup, ...CERTS),
  note("For a user who has ~/.config/containers/certs.d/<registry> that alone counts: rootless podman, --user."),
];

// The path says which registry is meant, since these clients say it nowhere else.
const registries = (setup: Setup): string =>
  [
    MADE,
    ...references(setup).map(({ name }) =>
      [
        "[[registry]]",
        `prefix = "${name}"`,
        `location = "${name}"`,
        "",
        "[[registry.mirror]]",
        `location = "${mirrorHost(setup)}/${name}"`,
        "",
      ].join("\n"),
    ),
  ].join("\n");

const mirror = (setup: Setup): Step[] => [
  {
    do: "guard",
    path: "/etc/containers/registries.conf",
    pattern: "^[[:space:]]*\\[registries\\.",
    text: "/etc/containers/registries.conf is of version 1 of its format, which nothing can be added to",
  },
  head("Layover's own name, and its CA certificate"),
  ...ownName(setup),
  trustOne(mirrorHost(setup), ...CERTS),
  head("Where to ask first for each registry"),
  file("/etc/containers/registries.conf.d/50-layover.conf", registries(setup)),
  note("It stands in place of what registries.conf says about the same prefixes. CRI-O: systemctl reload crio."),
  note("Pushes go to the registries themselves, and so do pulls that Layover has no answer for."),
];

const proxy = (setup: Setup): Step[] => [
  ...trusted(setup),
  head("The proxy, for podman and buildah"),
  file("/etc/containers/containers.conf.d/50-layover.conf", `${MADE}\n[engine]\nenv = ["HTTPS_PROXY=${proxyUrl(setup)}"]\n`),
  note(`skopeo: HTTPS_PROXY=${proxyUrl(setup)} in its environment. CRI-O: the same in a drop-in of its service.`),
];

export const podman: Client = {
  title: "podman, buildah, skopeo, CRI-O",
  doors: { hijack: (setup) => [...trusted(setup), ...hijack(setup)], mirror, proxy },
};
