// Runners of GitLab and of GitHub, on machines of one's own. Images of jobs are pulled by the machine's Docker; what jobs themselves pull
// with, such as a dind service, is set up where the runner starts it.
import type { Client } from "./clients.ts";
import { dockerHijack } from "./docker.ts";
import { references, type Setup } from "./setup.ts";
import { head, note, type Step, show } from "./step.ts";

const CERTS = "/etc/docker/certs.d";

const gitlab = (setup: Setup): Step[] => [
  ...dockerHijack(setup),
  show(
    "/etc/gitlab-runner/config.toml, for dind services and jobs that pull by themselves; services get the runner's volumes too",
    `[[runners]]
  [runners.docker]
    dns = ["${setup.dns.host}"]
    volumes = ["${CERTS}:${CERTS}:ro", "/cache"]
`,
  ),
  show(
    "The same on Kubernetes (executor kubernetes), with the config map of `layover setup kaniko`",
    `[[runners]]
  [runners.kubernetes]
    dns_policy = "none"
    [runners.kubernetes.dns_config]
      nameservers = ["${setup.dns.host}"]
${references(setup)
  .map(
    ({ name }) => `    [[runners.kubernetes.volumes.config_map]]
      name = "layover-ca"
      mount_path = "${CERTS}/${name}/ca.crt"
      sub_path = "layover.crt"
`,
  )
  .join("")}`,
  ),
  note("Add these lines to what is there; the runner reads its file again by itself. GitLab's own TLS is not touched:"),
  note("/etc/gitlab-runner/certs/<GitLab's host>.crt is needed only where Layover stands in for that host."),
];

export const gitlabRunner: Client = { title: "GitLab Runner, Docker executor", doors: { hijack: gitlab } };

const BUNDLE = "/etc/layover/ca.crt";

const github = (setup: Setup): Step[] => [
  ...dockerHijack(setup),
  head("For actions in JavaScript, which ask registries themselves"),
  { do: "ca", path: BUNDLE },
  show("The file .env in the runner's folder, and then a restart of the runner", `NODE_EXTRA_CA_CERTS=${BUNDLE}\n`),
  show(
    "In workflows: jobs in containers, and builders of buildx",
    `jobs:
  build:
    runs-on: self-hosted
    container:
      image: ubuntu
      options: --dns ${setup.dns.host} -v ${BUNDLE}:${BUNDLE}:ro
    steps:
      - uses: docker/setup-buildx-action@v3
        with:
          driver-opts: network=host
          buildkitd-config: /etc/buildkit/buildkitd.toml
`,
  ),
  note("buildkitd.toml is made by `layover setup buildkit`. Runners that GitHub hosts cannot reach Layover."),
];

export const githubRunner: Client = { title: "GitHub Actions, self-hosted runner", doors: { hijack: github } };
