// The process that reads the configuration gives what reading it here gives, and says what is wrong with it in the same words.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadApart, mirrorApart } from "../../src/config/apart.ts";
import { ConfigError, loadConfig } from "../../src/config/load.ts";
import { folderOf } from "./folder.ts";

const never = new Promise<void>(() => undefined);
const here = (file: string) => loadConfig({ file, env: process.env, cwd: process.cwd() });
const EXAMPLE = readFileSync(join(import.meta.dirname, "example.yaml"), "utf8");

describe("the configuration, read apart", () => {
  it("is the same, down to what is not said, origins and secrets", async () => {
    const folder = folderOf({
      "secret.txt": "hunter2\n",
      "layover.yaml": `
        maxSize: 3GB
        sites:
          quay.io: { upstream: 'https://a.example, http://127.0.0.1:5000', rules: [{ match: 'a/**:v*', pin: true }] }
          ghcr.io: { access: shared, credentials: { tokenFile: ./secret.txt } }`,
    });
    const file = join(folder, "layover.yaml");
    const config = await loadApart(file, never);
    expect(config).toStrictEqual(await here(file));
    expect(config?.sites.find(({ host }) => host === "quay.io")?.upstreams[1]).toBeInstanceOf(URL);
    expect(config?.sites.find(({ host }) => host === "ghcr.io")?.credentials).toMatchObject({ token: "hunter2" });
  });

  it.each([
    ["unknown keys", EXAMPLE],
    ["what is no YAML", "sites: ["],
    ["a file that a key names", "trust: ./nowhere.pem"],
  ])("has the same problems: %s", async (_, yaml) => {
    const file = join(folderOf({ "layover.yaml": yaml }), "layover.yaml");
    const [apart, direct] = await Promise.all([loadApart(file, never), here(file)].map((load) => load.catch((error) => error)));
    expect(direct).toBeInstanceOf(ConfigError);
    expect(apart).toStrictEqual(direct);
  });

  it("goes without the mirror's list where that may be wrong", async () => {
    const file = join(folderOf({ "layover.yaml": "mirror: ./absent.yaml" }), "layover.yaml");
    await expect(loadApart(file, never)).rejects.toThrow("there is no such file");
    const config = await loadApart(file, never, { mayListBeWrong: true });
    expect(config?.mirror).toMatchObject({ entries: [], isWrong: true });
    expect(config?.warnings).toEqual([expect.stringContaining("absent.yaml: there is no such file")]);
  });

  it("is not waited for when the end comes first, and neither is its reader", async () => {
    const file = join(folderOf({}), "pipe");
    execFileSync("mkfifo", [file]); // nobody ever writes into it
    const over = new Promise<void>((resolve) => setTimeout(resolve, 300));
    expect(await loadApart(file, over)).toBeUndefined();
    await expect.poll(() => readersOf(file)).toEqual([]);
  });
});

describe("the mirror's list, read apart", () => {
  it("is the same, read again with the sites that there are, and wrong in the same words", async () => {
    const list = "- { source: eu.pkg.dev/a/b, interval: 1h }\n- { source: docker.io/node, keep: 3, hooks: { pre: [scan] } }\n";
    const folder = folderOf({
      "mirror.yaml": list,
      "layover.yaml": 'sites: { "*.pkg.dev": {}, ghcr.io: { credentials: { token: t } } }\nmirror: ./mirror.yaml',
    });
    const config = await here(join(folder, "layover.yaml"));
    const file = join(folder, "mirror.yaml");
    expect(config.mirror.entries).toHaveLength(2);
    expect(await mirrorApart(config.mirror.file!, config, never)).toStrictEqual(config.mirror);
    writeFileSync(file, `${list}- { source: nowhere.example/a }\n`);
    const error: unknown = await mirrorApart(file, config, never).catch((problem: unknown) => problem);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).message).toMatch(
      /mirror\.yaml:3:5 2\.source: "nowhere\.example" is no site of the configuration/,
    );
    expect(await mirrorApart(file, config, Promise.resolve())).toBeUndefined();
  });
});

describe("a list that is wrong at a start", () => {
  const RIGHT = "- { source: docker.io/node, keep: 3 }\n";
  const begin = (data: boolean) => {
    const folder = folderOf({ "mirror.yaml": RIGHT, "layover.yaml": "mirror: ./mirror.yaml" });
    if (data) mkdirSync(join(folder, "data"));
    return { folder, list: join(folder, "mirror.yaml"), load: () => loadApart(join(folder, "layover.yaml"), never) };
  };

  it("gives way to the one from before, which is nobody else's to read; a right one counts again", async () => {
    const { folder, list, load } = begin(true);
    expect((await load())?.mirror).not.toHaveProperty("problem");
    expect(statSync(join(folder, "data/mirror.last")).mode & 0o777).toBe(0o600);
    for (const wrong of ["- { source: nowhere.example/a }\n", "", undefined]) {
      if (wrong === undefined) rmSync(list);
      else writeFileSync(list, wrong);
      const config = await load();
      expect(config?.mirror).toMatchObject({ file: list, entries: [{ source: { repo: "library/node" }, keep: { count: 3 } }] });
      expect(config?.mirror.problem).toMatch(/mirror\.yaml.*(no site|is empty|does not exist|no such)/);
      expect(config?.warnings.join()).toMatch(/the one from before goes on/);
    }
    writeFileSync(list, "[]");
    expect((await load())?.mirror).toEqual({ file: list, entries: [] });
    expect(readFileSync(join(folder, "data/mirror.last"), "utf8")).toBe("[]");
  });

  it("is a refusal where none was right before, or that is wrong too", async () => {
    const { folder, list, load } = begin(false);
    await load();
    writeFileSync(list, "- { sauce: a }\n");
    await expect(load()).rejects.toThrow(/did you mean "?source/);
    mkdirSync(join(folder, "data"));
    writeFileSync(join(folder, "data/mirror.last"), "- { source: nowhere.example/a }\n");
    await expect(load()).rejects.toThrow(/did you mean "?source/);
  });
});

const readersOf = (file: string): string[] =>
  execFileSync("ps", ["-eo", "args"], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line.includes("reader.ts") && line.includes(file));
