// Every client that is run here, by the name it has in reports.
import { buildkit, buildxDocker, buildxRemote, client } from "./builds.ts";
import type { Start } from "./client.ts";
import { cri, ctr } from "./containerd.ts";
import { crane, oras, regctl, skopeo } from "./copiers.ts";
import { buildah, podman } from "./daemonless.ts";
import { docker20, docker29, docker29classic } from "./docker.ts";
import { dockerBuildClassic, dockerBuildKit } from "./docker-build.ts";

export const CLIENTS = {
  "docker-20.10": docker20,
  "docker-20.10-build": client(dockerBuildClassic),
  "docker-20.10-buildkit": client(dockerBuildKit),
  "docker-29": docker29,
  "docker-29-classic-store": docker29classic,
  ctr,
  cri,
  buildctl: client(buildkit),
  "buildx-remote-driver": client(buildxRemote),
  "buildx-docker-driver": client(buildxDocker),
  podman,
  buildah,
  skopeo,
  crane,
  regctl,
  oras,
} as const satisfies Record<string, Start>;

export type ClientName = keyof typeof CLIENTS;
export const NAMES = Object.keys(CLIENTS) as ClientName[];
