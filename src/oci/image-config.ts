// An image's configuration, as far as two of them are compared (image-spec, config.md). Written by whoever made the image: every text is
// made safe to print.
import { parseObject } from "./json.ts";

export interface ImageConfig {
  readonly platform: string | undefined;
  /** As it is written there. */
  readonly created: string | undefined;
  readonly user: string | undefined;
  readonly workdir: string | undefined;
  readonly entrypoint: string | undefined;
  readonly cmd: string | undefined;
  readonly env: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  readonly ports: ReadonlyMap<string, string>;
  readonly volumes: ReadonlyMap<string, string>;
}

const MOST = 1_000;
const LONGEST = 2_000;

export const parseImageConfig = (bytes: Uint8Array): ImageConfig => {
  const document = parseObject(bytes) ?? {};
  const { User, WorkingDir, Entrypoint, Cmd, Env, Labels, ExposedPorts, Volumes } = recordOf(document["config"]);
  return {
    platform:
      ["os", "architecture", "variant"]
        .map((key) => textOf(document[key]))
        .filter(Boolean)
        .join("/") || undefined,
    created: textOf(document["created"]),
    user: textOf(User),
    workdir: textOf(WorkingDir),
    entrypoint: commandOf(Entrypoint),
    cmd: commandOf(Cmd),
    env: new Map(listOf(Env).map(variableOf)),
    labels: namedOf(Labels),
    ports: namedOf(ExposedPorts),
    volumes: namedOf(Volumes),
  };
};

const recordOf = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

const listOf = (value: unknown): string[] =>
  (Array.isArray(value) ? value : []).slice(0, MOST).flatMap((one) => (typeof one === "string" ? [shown(one)] : []));

const shown = (text: string): string =>
  text
    .slice(0, LONGEST)
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}]/gu, "?");

const textOf = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? shown(value) : undefined);

const commandOf = (value: unknown): string | undefined => {
  const words = listOf(value);
  return words.length === 0 ? textOf(value) : JSON.stringify(words);
};

const variableOf = (text: string): [string, string] => {
  const at = text.indexOf("=");
  return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
};

/** What is only there has no text. */
const namedOf = (value: unknown): ReadonlyMap<string, string> =>
  new Map(
    Object.entries(recordOf(value))
      .slice(0, MOST)
      .map(([name, text]) => [shown(name), typeof text === "string" ? shown(text) : ""]),
  );
