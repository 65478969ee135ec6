// One step of regsync's `sync` as entries of ours.
import { parsePlatform } from "../config/mirror-values.ts";
import type { Host, Hosts } from "./hosts.ts";
import { placeOf, type RegsyncPlace, registryOf } from "./places.ts";
import type { Part } from "./reading.ts";
import { sharedOf, type Written } from "./shared.ts";
import { choiceOf, type TagChoice } from "./tags.ts";
import { fillTemplate, hasActions } from "./template.ts";

type Env = Readonly<Record<string, string | undefined>>;

export interface Step {
  readonly part: Part;
  readonly entry: Written & { readonly source: string };
}

/** Empty where it is not carried over, which is told. */
export const stepsOf = (part: Part, hosts: Hosts, env: Env): Step[] => {
  const shared = sharedOf(part);
  const common = { ...platformsOf(part), ...shared };
  const type = part.text("type");
  const [source, target] = [part.text("source"), part.text("target")];
  if (source === undefined || target === undefined) return lost(part, "", "expected a source and a target");
  const from = filled(part, "source", source, { env, source });
  const to = from === undefined ? undefined : filled(part, "target", target, { env, source: from });
  if (from === undefined || to === undefined) return [];
  const parse = type === "registry" ? registryOf : placeOf;
  const [here, there] = [attempt(part, "source", () => parse(from)), attempt(part, "target", () => parse(to))];
  const [sourceHost, targetHost] = [here && hostOf(part, "source", hosts, here), there && hostOf(part, "target", hosts, there)];
  if (here === undefined || there === undefined || sourceHost === undefined || targetHost === undefined) return [];
  const at = (host: Host, repo: string, tag?: string) =>
    [host.name, repo].filter((one) => one !== "").join("/") + (tag === undefined ? "" : `:${tag}`);
  if (type === "image") {
    const tag = here.tag ?? "latest";
    if (part.has("tags") || part.has("tagSets")) part.note("tags", "without a meaning where the source is one image");
    return [
      {
        part,
        entry: { source: at(sourceHost, here.repo, tag), target: at(targetHost, there.repo, there.tag ?? "latest"), ...common },
      },
    ];
  }
  if (type !== "repository" && type !== "registry")
    return lost(part, "type", `expected image, repository or registry, found ${JSON.stringify(type ?? "")}`);
  const choices = choicesOf(part);
  const repos = type === "registry" ? reposOf(part) : {};
  if (choices === undefined || repos === undefined) return [];
  const place = {
    source: type === "registry" ? `${sourceHost.name}/**` : at(sourceHost, here.repo),
    target: at(targetHost, there.repo),
  };
  return choices.map((tags) => ({
    part,
    entry: { ...place, ...(Object.keys(tags).length > 0 && { tags }), ...repos, ...common },
  }));
};

const lost = (part: Part, key: string, why: string): [] => {
  part.note(key, `not carried over: ${why}`);
  return [];
};

const attempt = <T>(part: Part, key: string, work: () => T): T | undefined => {
  try {
    return work();
  } catch (error) {
    part.note(key, `not carried over: ${(error as Error).message}`);
    return undefined;
  }
};

const hostOf = (part: Part, key: string, hosts: Hosts, { registry }: RegsyncPlace): Host | undefined =>
  attempt(part, key, () => hosts.find(registry));

const filled = (part: Part, key: string, text: string, { env, source }: { env: Env; source: string }): string | undefined => {
  if (!hasActions(text)) return text;
  return attempt(part, key, () => {
    const value = fillTemplate(text, {
      field: (path) => {
        if (path === ".Sync.Source" && key !== "source") return source;
        throw new Error(`{{${path}}} has no counterpart`);
      },
      env: (name) => {
        const found = env[name];
        if (found === undefined) throw new Error(`the environment has no ${name}, which its template names`);
        part.note(key, `${name} was taken from the environment as it is now`);
        return found;
      },
      file: () => {
        throw new Error("{{file}} has no counterpart here");
      },
    });
    return value.trim();
  });
};

/** What each of them selects is copied. `undefined`: not carried over, which is told. */
const choicesOf = (part: Part): readonly TagChoice[] | undefined => {
  const sets = [...part.parts("tagSets"), ...(part.has("tags") ? [part.part("tags")] : [])].filter((one) => one !== undefined);
  const choices = sets.map(choiceOf);
  if (choices.some((choice) => choice === undefined)) {
    part.note("", "not carried over: without what its tags leave out it would copy too much");
    return undefined;
  }
  const given = (choices as TagChoice[]).filter((choice) => Object.keys(choice).length > 0);
  const isPlain = given.every(({ semver, except }) => semver === undefined && except === undefined);
  if (given.length <= 1) return given.length === 0 ? [{}] : given;
  return isPlain ? [{ only: [...new Set(given.flatMap(({ only = [] }) => only))] }] : given;
};

const reposOf = (part: Part): Written | undefined => {
  const given = part.part("repos");
  const choice = given === undefined ? {} : choiceOf(given);
  if (choice === undefined) {
    part.note("", "not carried over: without what its repositories leave out it would copy too much");
    return undefined;
  }
  const { only, except } = choice;
  const repos = {
    ...(only !== undefined && { only: only.map((one) => (one === "*" ? "**" : one)) }),
    ...(except !== undefined && { except }),
  };
  return Object.keys(repos).length === 0 ? {} : { repos };
};

const platformsOf = (part: Part): Written => {
  const one = part.text("platform");
  const all = [...(one === undefined ? [] : [one]), ...part.texts("platforms")];
  const platforms = all.filter(
    (platform) => attempt(part, one === platform ? "platform" : "platforms", () => parsePlatform(platform)) !== undefined,
  );
  if (one !== undefined && platforms.length > 0)
    part.note("platform", "the index stays as it is, with this platform alone behind it");
  return platforms.length === 0 ? {} : { platforms };
};
