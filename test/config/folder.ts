// A folder of its own for each test, with files in it, and the configuration loaded from there.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { deserialize, serialize } from "node:v8";
import { expect, onTestFinished } from "vitest";
import type { Config } from "../../src/config/config.ts";
import { ConfigError, loadConfig } from "../../src/config/load.ts";
import { type PackedConfig, pack, unpack } from "../../src/config/packed.ts";

export const folderOf = (files: Record<string, string | Buffer>): string => {
  const folder = mkdtempSync(join(tmpdir(), "layover-config-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
};

type Env = Record<string, string>;

/** Loads `yaml` as `./layover.yaml`. Whatever a test loads has to arrive whole at another process as well. */
export const load = async (yaml: string | undefined, env: Env = {}, files: Record<string, string> = {}): Promise<Config> => {
  const config = await loadConfig({ env, cwd: folderOf({ ...(yaml !== undefined && { "layover.yaml": yaml }), ...files }) });
  expect(unpack(deserialize(serialize(pack(config))) as PackedConfig)).toStrictEqual(config);
  return config;
};

/** The problems that loading ends with. */
export const problems = async (
  yaml: string | undefined,
  env: Env = {},
  files: Record<string, string> = {},
): Promise<readonly string[]> => {
  const outcome = await load(yaml, env, files).catch((error: unknown) => error);
  if (outcome instanceof ConfigError) return outcome.problems;
  throw outcome instanceof Error ? outcome : new Error("it loaded, and should not have");
};
