// `busybox`, `ghcr.io/acme/app:v1`, `registry:5000`: what regsync copies from and to.
import { isRepository, isTag } from "../oci/reference.ts";

export interface RegsyncPlace {
  readonly registry: string;
  readonly repo: string;
  readonly tag: string | undefined;
}

const REGISTRY = /^(?:localhost|[^/]*[.:A-Z[][^/]*)$/;

/** The Hub where no registry stands first. Throws an Error for people. */
export const placeOf = (text: string): RegsyncPlace => {
  const { registry, path } = partsOf(text);
  const colon = path.lastIndexOf(":");
  const named = colon === -1 ? path : path.slice(0, colon);
  const tag = colon === -1 ? undefined : path.slice(colon + 1);
  const repo = registry === HUB && !named.includes("/") ? `library/${named}` : named;
  if (!isRepository(repo) || (tag !== undefined && !isTag(tag))) throw new Error(`${quoted(text)} is no image`);
  return { registry, repo, tag };
};

/** Of `type: registry`: a registry, and for a target maybe what is put before. Throws an Error for people. */
export const registryOf = (text: string): RegsyncPlace => {
  const slash = text.indexOf("/");
  const registry = slash === -1 ? text : text.slice(0, slash);
  const repo = slash === -1 ? "" : text.slice(slash + 1).replace(/\/$/, "");
  refuseOthers(text);
  if (repo !== "" && !isRepository(repo)) throw new Error(`${quoted(text)} is no registry`);
  return { registry: hubOr(registry), repo, tag: undefined };
};

const HUB = "docker.io";
const hubOr = (registry: string): string => (/^(?:index\.docker\.io|registry-1\.docker\.io)$/.test(registry) ? HUB : registry);

const partsOf = (text: string): { registry: string; path: string } => {
  refuseOthers(text);
  const slash = text.indexOf("/");
  const first = slash === -1 ? "" : text.slice(0, slash);
  return REGISTRY.test(first) ? { registry: hubOr(first), path: text.slice(slash + 1) } : { registry: HUB, path: text };
};

const refuseOthers = (text: string): void => {
  if (/^oci(?:dir|file):\/\//.test(text))
    throw new Error("a folder is no registry: `layover export` writes one into a bundle, `layover import` reads it");
  if (text.includes("://")) throw new Error(`${quoted(text)} is no registry`);
  if (text.includes("@")) throw new Error("a digest never moves, so there is nothing to mirror: `layover warm` fetches it");
};

const quoted = (text: string): string => JSON.stringify(text.slice(0, 120));
