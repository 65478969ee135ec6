// Docker Engine, with either image store.
import type { Client } from "./clients.ts";
import { hasHub, mirrorHost, references, type Setup } from "./setup.ts";
import { head, hijack, hostsFiles, note, ownName, proxyDropIn, type Step, trustAll, trustOne } from "./step.ts";

const CERTS = "/etc/docker/certs.d";
const CLASSIC =
  "Docker's classic image store (`docker info` shows no `io.containerd.snapshotter`) reads no certs.d for Docker Hub, the system's store alone";

export const dockerHijack = (setup: Setup): Step[] => [
  head("The CA certificate, for Docker; no restart is needed"),
  ...trustAll(setup, CERTS),
  note("podman, buildah and skopeo read the same files. Rootless Docker: --user, for ~/.config/docker."),
  ...(hasHub(setup) ? storeForHub() : []),
  ...hijack(setup),
  note("Docker's own `dns` setting is for containers, not for pulls."),
];

const storeForHub = (): Step[] => [
  head("The CA certificate, for the system"),
  { do: "store", why: CLASSIC, optional: true },
  note("With that store Docker has to be restarted once, for Docker Hub: systemctl restart docker"),
];

const mirror = (setup: Setup): Step[] => {
  const at = mirrorHost(setup);
  const mirrors = `"registry-mirrors": ["https://${at}"]`;
  return [
    head("Layover's own name, and its CA certificate"),
    ...ownName(setup),
    trustOne(at, CERTS),
    head("Docker with the containerd image store: every registry"),
    ...hostsFiles(setup, CERTS, references(setup)),
    ...(hasHub(setup)
      ? [
          head("Docker with the classic image store: Docker Hub, and nothing else"),
          {
            do: "shared",
            path: "/etc/docker/daemon.json",
            content: `{ ${mirrors} }\n`,
            holds: `"https://${at}"`,
            add: mirrors,
          } as const,
          { do: "reload", unit: "docker" } as const,
        ]
      : []),
    note("Pushes go to the registries themselves. For the classic store and other registries: --door hijack."),
  ];
};

const proxy = (setup: Setup): Step[] => [
  head("The CA certificate, for Docker"),
  ...trustAll(setup, CERTS),
  ...(hasHub(setup) ? storeForHub() : []),
  ...proxyDropIn(setup, "docker"),
];

export const docker: Client = { title: "Docker Engine", doors: { hijack: dockerHijack, mirror, proxy } };
