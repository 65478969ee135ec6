// Every client that is recorded, by the name of its file in test/traffic, which is the one it has in reports.
import { CLASSIC_STORE } from "../clients/docker.ts";
import type { ClientName } from "../clients/every.ts";
import type { Start } from "./client.ts";
import { buildah, crane, oras, podman, regctl, skopeo } from "./copiers.ts";
import { buildctl, cri, ctr, docker } from "./daemons.ts";

export const CLIENTS: Readonly<Record<string, Start>> = {
  "docker-20.10": docker("classic"),
  "docker-29": docker("containerd"),
  "docker-29-classic-store": docker("containerd", CLASSIC_STORE),
  ctr: ctr(),
  /** As a node is set up that fetches large layers in parallel. */
  "ctr-ranges": ctr(1024 * 1024),
  cri,
  buildctl,
  podman,
  buildah,
  skopeo,
  crane,
  regctl,
  oras,
} satisfies Partial<Record<ClientName | "ctr-ranges", Start>>;
