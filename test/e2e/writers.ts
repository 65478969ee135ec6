// Tools that write to registries, and what each is told to do: push whole and in chunks, mount what another repository has, tag, delete.
import type { Start } from "./clients/client.ts";
import { stored } from "./clients/daemonless.ts";
import { Engine, type Kind } from "./engine.ts";

/** The image to write, as an OCI layout and as a file for `docker load` under the name of `app`; and two repositories. */
export type Work = { layout: string; archive: string; digest: string; host: string; app: string; other: string };
export type Tool = {
  prepare?: Start<{ stop(): Promise<void> }>;
  env?: (dir: string) => Record<string, string>;
  commands(work: Work, dir: string): string[][];
};

const engine = (kind: Kind): Tool => {
  const docker = (...args: string[]) => ["/usr/bin/docker", ...args];
  return {
    prepare: (dir, network) => Engine.start(kind, dir, dir, network),
    env: (dir) => ({ DOCKER_HOST: `unix://${dir}/sock` }),
    commands: ({ archive, app, other }) => [
      docker("load", "-qi", archive),
      docker("push", "-q", `${app}:v1`),
      ...["v2", "v3"].flatMap((tag) => [docker("tag", `${app}:v1`, `${app}:${tag}`), docker("push", "-q", `${app}:${tag}`)]),
      docker("tag", `${app}:v1`, `${other}:v1`),
      docker("push", "-q", `${other}:v1`),
    ],
  };
};

const daemonless = (name: "podman" | "buildah"): Tool => ({
  commands: ({ archive, app, other }, dir) =>
    [
      ["pull", "-q", `docker-archive:${archive}`],
      ["push", "-q", `${app}:v1`],
      ["tag", `${app}:v1`, `${app}:v2`, `${other}:v1`],
      ["push", "-q", `${app}:v2`],
      ["push", "-q", `${other}:v1`],
    ].map((args) => [...stored(name, dir), ...args]),
});

/** Each by the name it has in reports. */
export const TOOLS: Readonly<Record<string, Tool>> = {
  "docker-20.10": engine("classic"),
  "docker-29": engine("containerd"),
  podman: daemonless("podman"),
  buildah: daemonless("buildah"),
  skopeo: {
    commands: ({ layout, app, other }) =>
      [
        ["copy", "-q", "--preserve-digests", `oci:${layout}:v1`, `docker://${app}:v1`],
        ["copy", "-q", `docker://${app}:v1`, `docker://${app}:v2`],
        ["copy", "-q", `docker://${app}:v1`, `docker://${other}:v1`],
        ["delete", `docker://${other}:v1`],
      ].map((args) => ["skopeo", "--insecure-policy", ...args]),
  },
  crane: {
    commands: ({ layout, digest, app, other }) =>
      [
        ["push", layout, `${app}:v1`],
        ["tag", `${app}:v1`, "v2"],
        ["copy", `${app}:v1`, `${other}:v1`],
        ["delete", `${other}@${digest}`],
      ].map((args) => ["crane", ...args]),
  },
  regctl: {
    commands: ({ layout, digest, host, app, other }) =>
      [
        ["registry", "set", "--blob-max", "100000", "--blob-chunk", "100000", host],
        ["image", "copy", `ocidir://${layout}:v1`, `${app}:v1`],
        ["image", "copy", `${app}:v1`, `${app}:v2`],
        ["image", "copy", `${app}:v1`, `${app}:v3`],
        ["tag", "delete", `${app}:v2`],
        ["image", "copy", `${app}:v1`, `${other}:v1`],
        ["manifest", "delete", `${other}@${digest}`],
      ].map((args) => ["regctl", ...args]),
  },
  oras: {
    commands: ({ layout, app, other }) =>
      [
        ["copy", "--from-oci-layout", `${layout}:v1`, `${app}:v1`],
        ["tag", `${app}:v1`, "v2"],
        ["copy", `${app}:v1`, `${other}:v1`],
        ["manifest", "delete", "--force", `${other}:v1`],
      ].map((args) => ["oras", ...args]),
  },
};
