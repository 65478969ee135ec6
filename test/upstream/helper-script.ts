// A credential helper of a test's own making, on the PATH for as long as that runs.
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { onTestFinished, vi } from "vitest";

export const folder = (): string => {
  const made = mkdtempSync(join(tmpdir(), "layover-credentials-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
};

/** `docker-credential-test` on the PATH; it is a shell script, and `$asked` what it notes in. Gives what it was asked. */
export const helper = (script: string): (() => string[]) => {
  const at = folder();
  const asked = join(at, "asked");
  writeFileSync(asked, "");
  writeFileSync(join(at, "docker-credential-test"), `#!/bin/sh\nasked='${asked}'\n${script}\n`);
  chmodSync(join(at, "docker-credential-test"), 0o755);
  vi.stubEnv("PATH", `${at}${delimiter}${process.env["PATH"]}`);
  onTestFinished(() => void vi.unstubAllEnvs());
  return () => readFileSync(asked, "utf8").split("\n").filter(Boolean);
};
