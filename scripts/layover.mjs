#!/usr/bin/env node
// The command's first step, in syntax that every Node understands: find a Node that is new enough, then start src/main.ts with it.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, statSync, writeFileSync } from "node:fs";
import module from "node:module";
import { constants, homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const WANTED = [24, 15];
const ADVICE =
  "`npm ci` (not with --omit=optional) brings a fitting one along on Linux with glibc, x64 and arm64; else see https://nodejs.org";
const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR2"];
const FROM_KEYBOARD = ["SIGINT", "SIGQUIT"];

const isNewEnough = (version) => {
  const [major, minor] = version.split(".").map(Number);
  return major > WANTED[0] || (major === WANTED[0] && minor >= WANTED[1]);
};

/** The runtime that `npm ci` put beside: in our own node_modules, or in those that we are installed in. npm 9 makes no link in .bin for it. */
const bundledNode = (here) => {
  const platform = `node-${process.platform}-${process.arch}/bin/node`;
  const places = ["../node_modules/.bin/node", `../node_modules/${platform}`, "../../.bin/node", `../../${platform}`];
  return places.map((place) => join(here, place)).find((file) => existsSync(file));
};

/** The child gets our arguments, streams and signals; we leave as it did. */
const runWith = (node, script) => {
  const env = { ...process.env, LAYOVER_STARTED_BY: String(process.pid) };
  const child = spawn(node, [...process.execArgv, script, ...process.argv.slice(2)], { stdio: "inherit", env });
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      // A terminal's Ctrl-C reaches the child without us: passed on as well, it would count as the impatient second one.
      if (!(FROM_KEYBOARD.includes(signal) && process.stdin.isTTY)) child.kill(signal);
    });
  }
  child.on("error", (error) => fail(`cannot start ${node}: ${error.message}\n  ${ADVICE}`));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code === null ? 1 : code);
    for (const name of SIGNALS) process.removeAllListeners(name);
    process.exitCode = 128 + constants.signals[signal];
    process.kill(process.pid, signal);
  });
};

/** Killed outright, the first process cannot pass that on: its child sees that it has another parent, and ends. */
const endWith = (parent) => {
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    process.kill(process.pid, "SIGTERM");
  }, 1000);
  watch.unref();
};

/**
 * Compiled code is kept, which halves the work of a start: beside the sources, else in the user's own cache. Only where nobody but
 * us and root could have put something else (the system's folder for temporary files is everybody's), else not at all.
 * By the environment, the front end's process finds it too.
 */
const keepCompiled = (here) => {
  if (process.env.NODE_COMPILE_CACHE !== undefined || typeof module.enableCompileCache !== "function") return;
  const places = [
    join(here, "../node_modules/.cache/layover"),
    join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "layover"),
  ];
  const folder = places.find(isOursAlone);
  if (folder === undefined) return;
  process.env.NODE_COMPILE_CACHE = folder;
  if (process.argv[2] === "serve") compileFirst(here, folder);
  module.enableCompileCache(folder);
};

/** Longer than a slow machine takes. Milliseconds. */
const COMPILED_WITHIN = 20_000;

/**
 * A server that compiles its own files keeps the compiler, 30 MB in all, until it ends: before the first start with new files another
 * process compiles them, in half a second. Where that fails, or nothing can be written, the server does it after all.
 */
const compileFirst = (here, folder) => {
  const stamp = join(folder, "compiled");
  try {
    const wanted = stateOf(join(here, "../src"));
    if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
    writeFileSync(stamp, "");
    const { status } = spawnSync(process.execPath, [join(here, "compile.mjs")], { stdio: "ignore", timeout: COMPILED_WITHIN });
    if (status === 0) writeFileSync(stamp, wanted);
  } catch {
    // a read-only installation
  }
};

/** Other than before when a file is. In seconds, as an image's layers keep times. */
const stateOf = (src) => {
  const names = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  const files = names.map((name) => statSync(join(src, name)));
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const newest = Math.floor(Math.max(...files.map(({ mtimeMs }) => mtimeMs)) / 1000);
  return `${process.version} ${src} ${files.length} ${bytes} ${newest}\n`;
};

/** Makes the folder if need be, but never where another user's work lies, who could not remove it. */
const isOursAlone = (folder) => {
  try {
    if (!isTrusted(withAbove(folder).find(existsSync))) return false;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { uid, mode } = statSync(folder);
    return isTrusted(folder) && uid === process.getuid() && (mode & 0o077) === 0;
  } catch {
    return false; // a read-only installation, no home
  }
};

/** Whether only we and root decide what lies there; in a sticky folder, nobody else moves what is ours. */
const isTrusted = (folder) =>
  withAbove(realpathSync(folder)).every((place) => {
    const { uid, mode } = statSync(place);
    return (uid === process.getuid() || uid === 0) && ((mode & 0o022) === 0 || (mode & 0o1000) !== 0);
  });

const withAbove = (folder) => (dirname(folder) === folder ? [folder] : [folder, ...withAbove(dirname(folder))]);

/**
 * A process that no handler holds back is ended by a signal, but for the first one of a container: Linux lets it live. Here it is ended,
 * so that `docker stop` works from the start, and of every command.
 */
const endAsOthersDo = (signal) => {
  if (process.listenerCount(signal) === 1) process.exit(128 + constants.signals[signal]);
};

const fail = (message) => {
  process.stderr.write(`layover: ${message}\n`);
  process.exit(1);
};

const script = fileURLToPath(import.meta.url);
if (process.pid === 1) for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, endAsOthersDo);
const startedBy = process.env.LAYOVER_STARTED_BY;
delete process.env.LAYOVER_STARTED_BY;
if (isNewEnough(process.versions.node)) {
  if (startedBy !== undefined) endWith(Number(startedBy));
  keepCompiled(dirname(script));
  await import(new URL("../src/main.ts", import.meta.url).href);
} else {
  const node = startedBy === undefined ? bundledNode(dirname(script)) : undefined;
  if (node === undefined) fail(`needs Node ${WANTED.join(".")} or newer, and this is ${process.versions.node}.\n  ${ADVICE}`);
  else runWith(node, script);
}
