// What the command line loads before it knows what to do is paid by every start, and kept by the process that owns DNS; what a server
// needs at its start alone is not kept by either of its processes.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { emptyFolder, run } from "./command.ts";

const MAIN = join(import.meta.dirname, "../../src/main.ts");
const SHIM = join(import.meta.dirname, "../../scripts/layover.mjs");
/** What only some starts need, or a part of one. */
const SELDOM = ["@prometheus-io/client", "bcryptjs", "commander", "croner", "jose", "re2js", "semver", "tldts", "yaml", "zod"];
const HEAVY = ["http", "https", "http2", "tls", "crypto"];

it("loads neither HTTP nor TLS for the sake of commands that were not given", async () => {
  const program = `
    process.on("exit", () => process.stderr.write(JSON.stringify(process.moduleLoadList)));
    process.argv = [process.execPath, "layover", "--help"];
    await import(${JSON.stringify(MAIN)});`;
  const { stderr, stdout } = await run(process.execPath, ["--input-type=module", "--eval", program], "", { cwd: emptyFolder() });
  expect(stdout).toContain("start the appliance");
  const loaded = new Set(JSON.parse(stderr) as string[]);
  expect(HEAVY.filter((name) => loaded.has(`NativeModule ${name}`))).toEqual([]);
});

/** Notes the packages that a process loads, under the name of its script. */
const NOTE = `
  import { registerHooks } from "node:module";
  import { writeFileSync } from "node:fs";
  const packages = new Set();
  registerHooks({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context);
      const name = /\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(resolved.url)?.[1];
      if (name !== undefined) packages.add(name);
      return resolved;
    },
  });
  process.on("exit", () => writeFileSync(process.argv[1].split("/").at(-1) + ".loaded", JSON.stringify([...packages])));`;

it("keeps in a server that runs no parser of configurations, and nothing that few configure", async () => {
  const cwd = emptyFolder();
  const at = "127.0.0.1:0";
  const listen = { dns: at, https: at, http: at, proxy: [], admin: at };
  writeFileSync(join(cwd, "layover.yaml"), JSON.stringify({ listen, answer: "127.0.0.3", log: { format: "json" } }));
  const env = { ...process.env, NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(NOTE)}` };
  const child = spawn(process.execPath, [SHIM, "serve"], { cwd, env, stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let said = "";
  for await (const chunk of child.stdout) {
    said += String(chunk);
    if (said.includes('"msg":"ready"')) break;
  }
  child.kill("SIGTERM");
  await once(child, "exit");
  // the first start with new sources compiles them all, in a process of its own
  const files = readdirSync(cwd).filter((file) => file.endsWith(".loaded") && !file.startsWith("compile"));
  const seldom = (file: string) =>
    (JSON.parse(readFileSync(join(cwd, file), "utf8")) as string[]).filter((name) => SELDOM.includes(name)).toSorted();
  expect(Object.fromEntries(files.map((file) => [basename(file, ".loaded"), seldom(file)]))).toEqual({
    "layover.mjs": ["commander"],
    "front.ts": [],
    "reader.ts": ["yaml", "zod"],
  });
});
