// Commands as a user runs them: a process of its own, its output and its exit status.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Never rejects for an exit status. */
export const run = (
  command: string,
  args: readonly string[],
  input = "",
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Outcome> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: "pipe", ...options });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk) => (stdout += chunk));
    child.stderr.on("data", (chunk) => (stderr += chunk));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });

/** One of our commands, registered alone, in a process of its own. */
export const layover = (args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<Outcome> => {
  const commands = [
    "bypass",
    "ca",
    "cache",
    "config",
    "doctor",
    "explain",
    "export",
    "health",
    "import",
    "mirror",
    "refresh",
    "setup",
    "status",
    "tags",
    "warm",
  ].map((name) => `(await import("${join(import.meta.dirname, `../../src/cli/${name}.ts`)}")).${name}Command(p);`);
  const program = `const { Command } = await import("${import.meta.resolve("commander")}"); const p = new Command("layover"); ${commands.join(" ")} await p.parseAsync();`;
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("LAYOVER_")));
  return run(process.execPath, ["--input-type=module", "--eval", program, ...args], "", {
    cwd,
    env: { ...clean, ...env },
  });
};

export const emptyFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "layover-cli-"));
  // what was killed just before may still be writing
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }));
  return folder;
};
