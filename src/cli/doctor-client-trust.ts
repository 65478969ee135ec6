// Whom this machine's clients trust for each name: the system's store, and the folders under certs.d with their traps of file names.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Root } from "./ca-roots.ts";
import { type Finding, fail, ok, warn } from "./doctor-finding.ts";

/** As programs look for them: the first that is there counts. */
const BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/tls/cacert.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/** Docker and podman read the first two, podman the second before it, containerd its own. */
const FOLDERS = ["/etc/docker/certs.d", "/etc/containers/certs.d", "/etc/containerd/certs.d"];
/** Below a user's own configuration: of rootless engines. */
const USER_FOLDERS = ["docker/certs.d", "containers/certs.d"];
const HUB = "registry-1.docker.io";

export interface Store {
  /** The bundle that programs read; undefined: there is none. */
  readonly bundle: string | undefined;
  /** Whether all of them are in it. */
  holds(roots: readonly Root[]): boolean;
}

/** `root`: the folder that is `/`. */
export const readStore = async (root: string): Promise<Store> => {
  for (const path of BUNDLES) {
    const text = await readFile(join(root, path), "utf8").catch(() => undefined);
    if (text === undefined) continue;
    const held = bodiesOf(text);
    return { bundle: path, holds: (roots) => isHeld(roots, held) };
  }
  return { bundle: undefined, holds: () => false };
};

const bodiesOf = (pem: string): Set<string> => {
  const blocks = pem.matchAll(/-----BEGIN (?:TRUSTED )?CERTIFICATE-----([^-]+)-----END/g);
  return new Set([...blocks].map(([, body]) => body!.replace(/\s/g, "")));
};

const isHeld = (roots: readonly Root[], held: ReadonlySet<string>): boolean =>
  roots.every(({ certificate }) => held.has(certificate.raw.toString("base64")));

export interface TrustCheck {
  readonly root: string;
  readonly names: readonly string[];
  /** Of Layover's CA. */
  readonly roots: readonly Root[];
  readonly store: Store;
  /** What sets the CA up. */
  readonly mend: string;
  /** The user's configuration folder, such as /home/ann/.config. */
  readonly home?: string | undefined;
}

export const checkTrust = async ({ root, names, roots, store, mend, home }: TrustCheck): Promise<Finding[]> => {
  const own = home === undefined ? [] : USER_FOLDERS.map((folder) => join(home, folder));
  const folders = await Promise.all([...FOLDERS, ...own].map((folder) => readFolders(root, folder)));
  const all = folders.flat();
  const needed = (name: string) => roots.filter((one) => one.signs(name));
  const foldersOf = (name: string) => all.filter((one) => one.name === name || one.name === alias(name));
  const bare = names.filter(
    (name) => !store.holds(needed(name)) && !foldersOf(name).some(({ trusted }) => isHeld(needed(name), trusted)),
  );
  const knowsOne = (name: string) =>
    needed(name).some((one) => store.holds([one]) || foldersOf(name).some(({ trusted }) => isHeld([one], trusted)));
  const partly = bare.filter(knowsOne);
  const stale = bare.filter((name) => !partly.includes(name) && foldersOf(name).some(({ trusted }) => trusted.size > 0));
  const missing = bare.filter((name) => !partly.includes(name) && !stale.includes(name));
  const findings = [
    ...all.flatMap((one) => trapsOf(one, names, roots)),
    ...shadowed(all, names, needed),
    ...(stale.length === 0
      ? []
      : [fail("trust", `an older CA, not Layover's present one, is trusted for ${stale.join(", ")}`, mend)]),
    ...(partly.length === 0
      ? []
      : [warn("trust", `a root that Layover's CA has got since is not trusted yet for ${partly.join(", ")}`, mend)]),
    ...(missing.length === 0 ? [] : [fail("trust", `nothing here trusts Layover's CA for ${missing.join(", ")}`, mend)]),
  ];
  if (findings.length > 0) return findings;
  return [ok("trust", `Layover's CA is trusted for ${names.length} names, by ${store.holds(roots) ? store.bundle : "certs.d"}`)];
};

/** The folder of the Hub that all but Docker's classic store read. */
const alias = (name: string): string => (name === HUB ? "docker.io" : name);

interface Folder {
  readonly path: string;
  readonly name: string;
  readonly files: ReadonlyMap<string, string>;
  /** Bodies of what is in its *.crt. */
  readonly trusted: ReadonlySet<string>;
}

const readFolders = async (root: string, parent: string): Promise<Folder[]> => {
  const entries = await readdir(join(root, parent), { withFileTypes: true }).catch(() => []);
  const names = entries.filter((entry) => entry.isDirectory() || entry.isSymbolicLink()).map(({ name }) => name);
  return Promise.all(names.map((name) => readFolder(root, `${parent}/${name}`, name)));
};

const readFolder = async (root: string, path: string, name: string): Promise<Folder> => {
  const listed = await readdir(join(root, path)).catch(() => []);
  const texts = listed.map(async (file) => [file, await readFile(join(root, path, file), "utf8").catch(() => "")] as const);
  const files = new Map(await Promise.all(texts));
  const trusted = [...files].filter(([file]) => file.endsWith(".crt")).flatMap(([, text]) => [...bodiesOf(text)]);
  return { path, name, files, trusted: new Set(trusted) };
};

/** What looks right, and is never read; or makes the client fail. */
const trapsOf = ({ path, name, files }: Folder, names: readonly string[], roots: readonly Root[]): Finding[] => {
  const host = name.replace(/:443$/, "");
  if (!names.includes(host) && host !== "docker.io") return [];
  if (name !== host)
    return [fail("trust", `${path} is never read: for port 443 the folder has no port`, `mv ${path} ${path.slice(0, -4)}`)];
  const isOurs = (text: string) => roots.some((one) => isHeld([one], bodiesOf(text)));
  const misnamed = [...files].filter(([file, text]) => !file.endsWith(".crt") && file !== "hosts.toml" && isOurs(text));
  const toml = files.get("hosts.toml");
  return [
    ...misnamed.map(([file]) => {
      const what = file.endsWith(".cert") ? "taken for a client's certificate, and its key missed" : "never read";
      return fail("trust", `${path}/${file} is ${what}: a CA's file ends in .crt`, `mv ${path}/${file} ${path}/ca.crt`);
    }),
    ...(toml !== undefined && files.has("ca.crt") && !/^\s*ca\s*=/m.test(toml)
      ? [warn("trust", `${path}/hosts.toml is read in place of the certificates beside it`, `add to it: ca = "${path}/ca.crt"`)]
      : []),
  ];
};

/** podman reads the first folder that is there, and no second one. */
const shadowed = (all: readonly Folder[], names: readonly string[], needed: (name: string) => readonly Root[]): Finding[] =>
  names.flatMap((name) => {
    const [docker, containers] = FOLDERS.map((parent) => all.find((one) => one.path === `${parent}/${name}`));
    if (docker === undefined || containers === undefined) return [];
    if (!isHeld(needed(name), docker.trusted) || isHeld(needed(name), containers.trusted)) return [];
    return [
      warn(
        "trust",
        `podman reads ${containers.path} alone, which lacks Layover's CA`,
        `cp ${docker.path}/ca.crt ${containers.path}/layover.crt`,
      ),
    ];
  });

/** Whether one folder trusts all of them. */
export const readTrusted = async (root: string, path: string, roots: readonly Root[]): Promise<boolean> =>
  isHeld(roots, (await readFolder(root, path, "")).trusted);
