import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { emptyFolder, run } from "./command.ts";

const SHIM = join(import.meta.dirname, "../../scripts/layover.mjs");

/**
 * A checkout with our shim and a main that says what it got. An old Node is played by a preload that lies about the version,
 * unless the runtime in node_modules (a script that takes the lie away) started it.
 */
const checkout = ({ runtime = true, main = "" } = {}) => {
  const root = emptyFolder();
  for (const folder of ["scripts", "src", "node_modules/.bin"]) mkdirSync(join(root, folder), { recursive: true });
  copyFileSync(SHIM, join(root, "scripts/layover.mjs"));
  const say =
    "process.stdout.write(JSON.stringify({ argv: process.argv.slice(2), env: process.env.LAYOVER_STARTED_BY }) + '\\n');";
  writeFileSync(join(root, "src/main.ts"), `const x: number = 1; ${main} ${say}`);
  writeFileSync(
    join(root, "old.cjs"),
    "if (!process.env.NEW_NODE) Object.defineProperty(process.versions, 'node', { value: '20.19.2' });",
  );
  const node = join(root, "node_modules/.bin/node");
  writeFileSync(node, `#!/bin/sh\nNEW_NODE=1 exec '${process.execPath}' "$@"\n`);
  chmodSync(node, runtime ? 0o755 : 0o644);
  return { root, script: join(root, "scripts/layover.mjs"), old: ["--require", join(root, "old.cjs")] };
};

describe("the command", () => {
  it("starts at once with a Node that is new enough", async () => {
    const { script } = checkout();
    expect(await run(process.execPath, [script, "a", "b c"])).toMatchObject({ code: 0, stdout: '{"argv":["a","b c"]}\n' });
  });

  it("starts with the runtime beside it otherwise: same arguments, same exit status", async () => {
    const { script, old } = checkout({ main: "process.exitCode = 7;" });
    expect(await run(process.execPath, [...old, script, "a", "b c"])).toMatchObject({
      code: 7,
      stdout: '{"argv":["a","b c"]}\n',
    });
  });

  it("says what it needs where there is none, or none that runs", async () => {
    const { script, old, root } = checkout();
    const env = { ...process.env, LAYOVER_STARTED_BY: "1" };
    const none = await run(process.execPath, [...old, script], "", { env });
    expect(none.code).toBe(1);
    expect(none.stderr).toMatch(/^layover: needs Node 24\.15 or newer, and this is 20\.19\.2\.\n {2}`npm ci`/);
    chmodSync(join(root, "node_modules/.bin/node"), 0o644);
    expect((await run(process.execPath, [...old, script])).stderr).toContain("cannot start");
  });

  it("passes signals on, and ends as the child did", async () => {
    const { script, old } = checkout({
      main: "process.on('SIGTERM', () => { process.stdout.write('draining\\n'); process.exit(3); }); setInterval(() => {}, 1000);",
    });
    const child = spawn(process.execPath, [...old, script], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
    child.kill("SIGTERM");
    const [[text], [code]] = await Promise.all([once(child.stdout, "data"), once(child, "exit")]);
    expect([String(text), code]).toEqual(["draining\n", 3]);
  });

  it("dies of the signal that its child died of", async () => {
    const { script, old } = checkout({ main: "setImmediate(() => process.kill(process.pid, 'SIGKILL'));" });
    const child = spawn(process.execPath, [...old, script], { stdio: "ignore" });
    const [code, signal] = await once(child, "exit");
    expect([code, signal]).toEqual([null, "SIGKILL"]);
  });

  it("takes its child along when it is killed itself", async () => {
    const { script, old } = checkout({ main: "process.stdout.write(process.pid + '\\n'); setInterval(() => {}, 1000);" });
    const child = spawn(process.execPath, [...old, script], { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    for await (const chunk of child.stdout) {
      text += chunk;
      if (/^\d+$/m.test(text)) child.kill("SIGKILL");
    }
    // The pipe closes when the last that holds it has ended: the grandchild.
    const pid = Number(/^\d+$/m.exec(text)?.[0]);
    expect(pid).toBeGreaterThan(0);
  });

  it("keeps compiled code where nobody else can write, or nowhere", async () => {
    const { root, script } = checkout({ main: "process.stdout.write((process.env.NODE_COMPILE_CACHE ?? 'nowhere') + '\\n');" });
    const home = emptyFolder();
    const start = async (given: NodeJS.ProcessEnv = {}) => {
      const { NODE_COMPILE_CACHE: _, ...env } = process.env;
      const { code, stdout } = await run(process.execPath, [script], "", { env: { ...env, XDG_CACHE_HOME: home, ...given } });
      expect(code).toBe(0);
      return stdout.split("\n")[0];
    };
    const beside = join(root, "node_modules/.cache/layover");
    expect(await start()).toBe(beside);
    expect(statSync(beside).mode & 0o777).toBe(0o700);
    expect(readdirSync(beside, { recursive: true }).length).toBeGreaterThan(1);
    expect(await start({ NODE_COMPILE_CACHE: join(home, "own") })).toBe(join(home, "own"));

    // Others may write: into the folder, or above it, where they could put another in its place.
    chmodSync(beside, 0o770);
    expect(await start()).toBe(join(home, "layover"));
    chmodSync(beside, 0o700);
    chmodSync(root, 0o777);
    expect(await start()).toBe(join(home, "layover"));
    chmodSync(home, 0o777);
    expect(await start()).toBe("nowhere");
    rmSync(join(root, "node_modules/.cache"), { recursive: true });
    rmSync(join(home, "layover"), { recursive: true });
    expect(await start()).toBe("nowhere");
    expect([existsSync(join(root, "node_modules/.cache")), existsSync(join(home, "layover"))]).toEqual([false, false]);
    // A link leads somewhere else: what counts is where.
    chmodSync(root, 0o755);
    symlinkSync(home, join(root, "node_modules/.cache"));
    expect(await start({ XDG_CACHE_HOME: join(script, "no/folder") })).toBe("nowhere");
  });

  it("has new files compiled by another process before it serves, which runs none of the entries", async () => {
    const { root, script } = checkout({
      main: "process.stdout.write(process.moduleLoadList.some((name) => name.includes('amaro')) + '\\n');",
    });
    writeFileSync(join(root, "package.json"), '{ "type": "module" }');
    copyFileSync(join(SHIM, "../compile.mjs"), join(root, "scripts/compile.mjs"));
    const ran = join(root, "ran");
    for (const entry of ["cli/front.ts", "config/reader.ts"]) {
      mkdirSync(join(root, "src", entry, ".."), { recursive: true });
      writeFileSync(
        join(root, "src", entry),
        `import { writeFileSync } from "node:fs"; writeFileSync(${JSON.stringify(ran)}, "");`,
      );
    }
    const { NODE_COMPILE_CACHE: _, ...env } = process.env;
    const holdsCompiler = async (command: string) =>
      (await run(process.execPath, [script, command], "", { env })).stdout.split("\n")[0];
    expect(await holdsCompiler("other")).toBe("true");
    expect(await holdsCompiler("serve")).toBe("false");
    const main = join(root, "src/main.ts");
    writeFileSync(main, `${readFileSync(main, "utf8")} const y: number = 2;`);
    expect(await holdsCompiler("serve")).toBe("false");
    expect(existsSync(ran)).toBe(false);

    // one that cannot be compiled ahead is compiled by who runs it
    rmSync(join(root, "scripts/compile.mjs"));
    writeFileSync(main, `${readFileSync(main, "utf8")} const z: number = 3;`);
    expect(await holdsCompiler("serve")).toBe("true");
  });

  it("is plain JavaScript that an old Node reads", () => {
    const text = readFileSync(SHIM, "utf8");
    expect(text.startsWith("#!/usr/bin/env node\n")).toBe(true);
    expect(text).not.toMatch(/\?\?=|\busing\b|import .* with \{/);
  });
});
