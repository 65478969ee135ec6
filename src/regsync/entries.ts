// One step of regsync's `sync` as entries of ours.
import { parsePlatform } from "../config/mirror-values.ts";
import type { Hosts } from "./hosts.ts";
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

export interface StepContext {
  readonly hosts: Hosts;
  readonly env: Env;
  /** Without targets: what is copied keeps its name. */
  readonly inPlace: boolean;
}

/** `type` of a step. */
const PARSE: Record<string, (text: string) => RegsyncPlace> = { image: placeOf, repository: placeOf, registry: registryOf };

/** Empty where it is not carried over, which is told. */
export const stepsOf = (part: Part, context: StepContext): Step[] => {
  const common = { ...platformsOf(part), ...sharedOf(part) };
  const type = part.text("type") ?? "";
  const parse = PARSE[type];
  const places = placesOf(part, parse ?? placeOf, context);
  if (parse === undefined) return lost(part, "type", `expected image, repository or registry, found ${JSON.stringify(type)}`);
  if (places === undefined) return [];
  if (type === "image") return [{ part, entry: { ...imageOf(part, places), ...common } }];
  const repos = type === "registry" ? reposOf(part) : {};
  const choices = choicesOf(part);
  if (choices === undefined || repos === undefined) return [];
  const source = type === "registry" ? `${places.source.name}/**` : written(places.source);
  const place = { source, ...(places.target && { target: written(places.target) }) };
  return choices.map((tags) => ({
    part,
    entry: { ...place, ...(Object.keys(tags).length > 0 && { tags }), ...repos, ...common },
  }));
};

/** In our words. */
interface Named {
  readonly name: string;
  readonly repo: string;
  readonly tag: string | undefined;
}

interface Places {
  readonly source: Named;
  readonly target: Named | undefined;
}

const written = ({ name, repo }: Named, tag?: string): string =>
  [name, repo].filter((one) => one !== "").join("/") + (tag === undefined ? "" : `:${tag}`);

/** Without a tag it is `latest`, here and there. */
const imageOf = (part: Part, { source, target }: Places): Step["entry"] => {
  if (part.has("tags") || part.has("tagSets")) part.note("tags", "without a meaning where the source is one image");
  return {
    source: written(source, source.tag ?? "latest"),
    ...(target && { target: written(target, target.tag ?? "latest") }),
  };
};

const placesOf = (
  part: Part,
  parse: (text: string) => RegsyncPlace,
  { hosts, env, inPlace }: StepContext,
): Places | undefined => {
  const [source, target] = [part.text("source"), part.text("target")];
  const from = source === undefined ? missing(part, "source") : filled(part, "source", source, { env, source });
  if (from === undefined) return undefined;
  const named = (key: string, text: string) =>
    attempt(part, key, (): Named => {
      const { registry, repo, tag } = parse(text);
      return { name: hosts.find(registry).name, repo, tag };
    });
  const here = named("source", from);
  if (inPlace) return here && { source: here, target: undefined };
  const to = target === undefined ? missing(part, "target") : filled(part, "target", target, { env, source: from });
  const there = to === undefined ? undefined : named("target", to);
  return here && there && { source: here, target: there };
};

const missing = (part: Part, key: string): undefined => void lost(part, key, "there is none");

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
