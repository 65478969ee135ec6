// Every client that can be set up, by the name that `layover setup` and /setup/ give it: what it needs for each door.
import { buildkit } from "./buildkit.ts";
import { containerd } from "./containerd.ts";
import { dind } from "./dind.ts";
import { docker } from "./docker.ts";
import { k3s } from "./k3s.ts";
import { kaniko } from "./kaniko.ts";
import { podman } from "./podman.ts";
import { githubRunner, gitlabRunner } from "./runners.ts";
import type { Setup } from "./setup.ts";
import type { Door, Step } from "./step.ts";
import { system } from "./system.ts";

export interface Client {
  readonly title: string;
  /** The first is what it gets unasked. */
  readonly doors: { readonly [K in Door]?: (setup: Setup) => readonly Step[] };
}

/** For one installation. */
export interface ClientPlan {
  readonly title: string;
  /** Of the doors that are open, in the client's order; at least one. */
  readonly plans: { readonly [K in Door]?: readonly Step[] };
}

export const CLIENTS = {
  docker,
  containerd,
  podman,
  buildkit,
  k3s,
  kaniko,
  "gitlab-runner": gitlabRunner,
  "github-runner": githubRunner,
  dind,
  system,
} as const satisfies Record<string, Client>;

export type ClientName = keyof typeof CLIENTS;
export const CLIENT_NAMES = Object.keys(CLIENTS) as ClientName[];

export const isClient = (name: string): name is ClientName => Object.hasOwn(CLIENTS, name);

/** Throws Error where no door of the client is open. */
export const planOf = (name: ClientName, setup: Setup): ClientPlan => {
  const { title, doors }: Client = CLIENTS[name];
  const isOpen: Record<Door, boolean> = { hijack: true, mirror: setup.mirror !== undefined, proxy: setup.proxy !== undefined };
  const plans = (Object.entries(doors) as [Door, (setup: Setup) => readonly Step[]][])
    .filter(([door]) => isOpen[door])
    .map(([door, steps]) => [door, steps(setup)] as const);
  if (plans.length === 0) throw new Error(`none of the doors for ${name} is open`);
  return { title, plans: Object.fromEntries(plans) };
};
