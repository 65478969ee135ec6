// A host to be set up: a folder in place of /, and the shells that scripts have to work in.
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type ClientName, planOf } from "../../src/setup/clients.ts";
import { scriptOf } from "../../src/setup/script.ts";
import type { Setup } from "../../src/setup/setup.ts";
import { emptyFolder, type Outcome, run } from "../cli/command.ts";
import { makeRoot } from "../cli/roots.ts";

export const one = makeRoot(["ghcr.io"], { name: "One" });
export const two = makeRoot(["quay.io"], { name: "Two" });
export const SETUP: Setup = {
  names: ["registry-1.docker.io", "index.docker.io", "ghcr.io"],
  passed: ["auth.docker.io"],
  dns: { host: "10.0.0.5", port: 53 },
  answer: ["10.0.0.5"],
  mirror: { name: "layover", port: 443 },
  proxy: { host: "10.0.0.5", port: 3128 },
  ca: one.pem + two.pem,
  fingerprints: [one.certificate.fingerprint256, two.certificate.fingerprint256],
  url: "http://layover",
};

export const scriptFor = (name: ClientName, setup: Setup = SETUP): string => scriptOf(name, planOf(name, setup), setup);

/** Everything below a folder, byte for byte. */
export const snapshot = (folder: string): Record<string, string> =>
  Object.fromEntries(
    (readdirSync(folder, { recursive: true }) as string[]).sort().map((name) => {
      const path = join(folder, name);
      const stats = lstatSync(path);
      const what = stats.isSymbolicLink() ? readlinkSync(path) : stats.isDirectory() ? "/" : readFileSync(path, "latin1");
      return [name, `${stats.mode.toString(8)} ${what}`];
    }),
  );

/** The same without the record of what was done. */
export const visible = (folder: string): Record<string, string> =>
  Object.fromEntries(
    Object.entries(snapshot(folder)).filter(([name]) => !/(^var\/lib|\.local\/state)\/layover-setup/.test(name)),
  );

export const hostOf = (files: Record<string, string>): string => {
  const root = emptyFolder();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    if (content.startsWith("->")) symlinkSync(content.slice(2), join(root, name));
    else writeFileSync(join(root, name), content);
  }
  return root;
};

export const PLAIN = {
  "etc/resolv.conf": "search corp.example\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions edns0",
  "etc/docker/certs.d/ghcr.io/ca.crt": "somebody else's\n",
  "usr/local/share/ca-certificates/other.crt": "other\n",
};

export const SHELLS = [["dash"], ["busybox", "sh"]].filter(([command = ""]) =>
  ["/bin", "/usr/bin"].some((folder) => existsSync(join(folder, command))),
);

export const sh = (
  script: string,
  args: readonly string[],
  [command, ...first]: readonly string[] = ["sh"],
  env?: NodeJS.ProcessEnv,
): Promise<Outcome> => run(command!, [...first, "-s", "--", ...args], script, env === undefined ? {} : { env });

export const read = (root: string, file: string): string => readFileSync(join(root, file), "utf8");
