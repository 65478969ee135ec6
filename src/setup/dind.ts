// Docker in Docker: the daemon inside has a resolver and an /etc/docker of its own, both given by whoever starts its container.
import type { Client } from "./clients.ts";
import { hasHub, mirrorHost, plainNames, type Setup } from "./setup.ts";
import { head, note, ownName, type Step, show, trustAll, trustOne } from "./step.ts";

const CERTS = "/etc/docker/certs.d";
const MOUNT = `${CERTS}:${CERTS}:ro`;

const hijack = (setup: Setup): Step[] => [
  head("The CA certificate, on the machine where the containers run, to be mounted"),
  ...trustAll(setup, CERTS),
  show("docker run", `docker run --privileged --dns ${setup.dns.host} -v ${MOUNT} docker:dind\n`),
  show(
    "Docker Compose",
    `services:
  builder:
    image: docker:dind
    privileged: true
    dns: ["${setup.dns.host}"]
    volumes: ["${MOUNT}"]
`,
  ),
  show(
    "Docker Compose with no DNS to change: Layover in the builders' network has the names there",
    `services:
  layover:
    networks:
      default:
        aliases: [${plainNames(setup).join(", ")}]
`,
  ),
  ...(setup.dns.port === 53
    ? []
    : [note(`Containers ask port 53 alone, and Layover's DNS is on ${setup.dns.port}: give it that port (listen.dns).`)]),
  ...(hasHub(setup)
    ? [
        note(
          "A dind older than 29 has Docker's classic image store, which reads no certs.d for Docker Hub: give it --registry-mirror as",
        ),
        note("`--door mirror` shows, or the CA in the container's own store before dockerd starts (update-ca-certificates)."),
      ]
    : []),
];

const mirror = (setup: Setup): Step[] => {
  const at = mirrorHost(setup);
  return [
    head("Layover's own name, and its CA certificate, on the machine where the containers run, to be mounted"),
    ...ownName(setup),
    trustOne(at, CERTS),
    show(
      "docker run (for Docker Hub alone)",
      `docker run --privileged --add-host ${setup.mirror!.name}:${setup.answer[0]!} -v ${CERTS}/${at}:${CERTS}/${at}:ro docker:dind --registry-mirror https://${at}\n`,
    ),
  ];
};

export const dind: Client = { title: "Docker in Docker", doors: { hijack, mirror } };
