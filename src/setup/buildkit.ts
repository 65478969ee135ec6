// buildkitd, by itself or in the container that buildx makes for it. That container has a resolver of its own, and files that buildx
// copies into it; Docker's built-in BuildKit is set up as Docker is.
import type { Client } from "./clients.ts";
import { mirrorHost, proxyUrl, references, type Setup } from "./setup.ts";
import { head, hijack, MADE, note, ownName, type Step, show } from "./step.ts";

const CONFIG = "/etc/buildkit/buildkitd.toml";
const CA = "/etc/buildkit/layover.crt";

/** Sections of buildkitd.toml: the CA for those hosts, or for a mirror of each. */
const sections = (hosts: readonly string[]): string => hosts.map((host) => `\n[registry."${host}"]\n  ca = ["${CA}"]\n`).join("");

const mirrors = (setup: Setup): string =>
  references(setup)
    .map(({ name }) => `\n[registry."${name}"]\n  mirrors = ["${mirrorHost(setup)}"]\n`)
    .join("") + sections([mirrorHost(setup)]);

const configured = (content: string, holds: string): Step[] => [
  head("buildkitd's configuration, and the CA certificate that it names"),
  { do: "ca", path: CA },
  { do: "shared", path: CONFIG, content: `${MADE}\n${content}`, add: content.trimStart(), holds },
  { do: "restart", unit: "buildkit", why: "buildkitd reads its configuration when it starts" },
];

const buildx = (options: string): Step[] => [
  show(
    "A builder of buildx in a container (driver docker-container); it gets the files of this machine",
    `docker buildx create --name layover --driver docker-container ${options} --buildkitd-config ${CONFIG}\n`,
  ),
  note(
    "Its resolver is that of its container: `network=host` gives it this machine's. `[dns]` in buildkitd.toml is for build steps only.",
  ),
];

const names = (setup: Setup): string[] => references(setup).map(({ name }) => name);

export const buildkit: Client = {
  title: "BuildKit (buildkitd, buildx)",
  doors: {
    hijack: (setup) => [
      ...configured(sections(names(setup)), CA),
      ...hijack(setup),
      ...buildx("--driver-opt network=host"),
      note(
        "buildctl and buildx ask token servers themselves: a realm that is stood in for has to be trusted by their machine too.",
      ),
    ],
    mirror: (setup) => [
      head("Layover's own name"),
      ...ownName(setup),
      ...configured(mirrors(setup), `mirrors = ["${mirrorHost(setup)}"]`),
      ...buildx("--driver-opt network=host"),
      note("Pushes go to the registries themselves."),
    ],
    proxy: (setup) => [
      ...configured(sections(names(setup)), CA),
      head("The proxy, in buildkitd's environment"),
      note(`HTTPS_PROXY=${proxyUrl(setup)}`),
      ...buildx(`--driver-opt env.HTTPS_PROXY=${proxyUrl(setup)}`),
    ],
  },
};
