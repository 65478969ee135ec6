#!/usr/bin/env node
// The command's first step, in syntax that every Node understands: find a Node that is new enough, then start src/main.ts with it.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module from "node:module";
import { constants } from "node:os";
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

const fail = (message) => {
  process.stderr.write(`layover: ${message}\n`);
  process.exit(1);
};

const script = fileURLToPath(import.meta.url);
const startedBy = process.env.LAYOVER_STARTED_BY;
delete process.env.LAYOVER_STARTED_BY;
if (isNewEnough(process.versions.node)) {
  if (startedBy !== undefined) endWith(Number(startedBy));
  if (typeof module.enableCompileCache === "function") module.enableCompileCache();
  await import(new URL("../src/main.ts", import.meta.url).href);
} else {
  const node = startedBy === undefined ? bundledNode(dirname(script)) : undefined;
  if (node === undefined) fail(`needs Node ${WANTED.join(".")} or newer, and this is ${process.versions.node}.\n  ${ADVICE}`);
  else runWith(node, script);
}
