// Doctor's checks of the CA, from its files alone; and of what Docker on this machine trusts.
import { access, constants, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { CaError } from "../tls/ca-error.ts";
import { readCaFiles } from "../tls/ca-files.ts";
import { readRoots as readSigning } from "../tls/roots.ts";
import { type Root, readRoots } from "./ca-roots.ts";
import { type Finding, fail, ok, warn } from "./doctor-finding.ts";

const SOON_MS = 90 * 86_400_000;

export interface AuthorityCheck {
  readonly certificate: string;
  readonly key: string;
  /** Every name that TLS answers for. */
  readonly names: readonly string[];
  readonly now: number;
}

export const checkAuthority = async ({ certificate, key, names, now }: AuthorityCheck): Promise<Finding[]> => {
  const roots = await readRoots(certificate);
  if (typeof roots !== "string") return judge(roots, names, now, await checkKey(certificate, key));
  const hasKey = await stat(key).then(
    () => true,
    () => false,
  );
  if (!hasKey && roots.startsWith("not there"))
    return [warn("ca", `${certificate}: ${roots}`, "start Layover once: `layover serve`")];
  return [
    fail(
      "ca",
      `${certificate}: ${roots}`,
      "put the file back that belongs to the key, or move the key away to begin with a new CA (clients must then trust it anew)",
    ),
  ];
};

const judge = (roots: readonly Root[], names: readonly string[], now: number, key: Finding | undefined): Finding[] => {
  const findings = [
    ...roots.map((root) => checkTime(root, roots, names, now)),
    checkCover(
      roots.filter((root) => root.notAfter.getTime() > now),
      names,
    ),
    key,
  ];
  const wrong = findings.filter((finding) => finding !== undefined);
  if (wrong.length > 0) return wrong;
  const last = roots.at(-1)!;
  return [
    ok(
      "ca",
      `${roots.length === 1 ? last.subject : `${roots.length} roots, the last ${last.subject},`} covers all ${names.length} names, until ${last.notAfter.toISOString().slice(0, 10)}; ${last.fingerprint}`,
    ),
  ];
};

/** A root whose names another one covers for longer may end in peace. */
const checkTime = (root: Root, roots: readonly Root[], names: readonly string[], now: number): Finding | undefined => {
  const { subject, notBefore, notAfter } = root;
  if (notBefore.getTime() > now)
    return fail("ca", `${subject} is valid only from ${notBefore.toISOString()}`, "set this machine's clock");
  const lasting = roots.filter((other) => other !== root && other.notAfter.getTime() - now > SOON_MS);
  const isNeeded = names.some((name) => root.signs(name) && !lasting.some((other) => other.signs(name)));
  if (!isNeeded) return undefined;
  const end = notAfter.toISOString().slice(0, 10);
  if (notAfter.getTime() <= now)
    return fail("ca", `${subject} expired on ${end}`, "`layover ca rotate --now`, then let clients trust the new root");
  return notAfter.getTime() - now < SOON_MS
    ? warn("ca", `${subject} expires on ${end}`, "`layover ca rotate`: a new root, and time for clients to fetch ca.crt")
    : undefined;
};

const checkCover = (roots: readonly Root[], names: readonly string[]): Finding | undefined => {
  const bare = names.filter((name) => !roots.some((root) => root.signs(name)));
  if (bare.length === 0) return undefined;
  return fail(
    "ca",
    `no root covers ${bare.join(", ")}: clients refuse Layover there`,
    "restart Layover: it adds a root for them; then let clients trust it (`layover setup docker --write`)",
  );
};

/** Undefined: nothing is wrong. The keys are parsed to compare them, and leave no trace in what is said. */
const checkKey = async (certificateFile: string, keyFile: string): Promise<Finding | undefined> => {
  const denied = await access(keyFile, constants.R_OK).then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error.code,
  );
  if (denied === "EACCES")
    return warn("ca", `the CA's key ${keyFile} may not be read by this user`, "run this as the user that Layover runs as");
  try {
    readSigning(readCaFiles({ certificateFile, keyFile }), { certificateFile, keyFile });
    return undefined;
  } catch (error) {
    if (!(error instanceof CaError)) throw error;
    return fail("ca", `${error.path}: ${error.problem}`, error.mend);
  }
};

/** Only where Docker's folders are there already: a builder that trusts an older CA than the one in use. */
export const checkDockerTrust = async (roots: readonly Root[], names: readonly string[], folder: string): Promise<Finding[]> => {
  const states = await Promise.all(names.map((name) => trustOf(join(folder, name), roots)));
  const stale = names.filter((_, i) => states[i] === "stale");
  const mend = "`layover setup docker --write` on this machine";
  if (stale.length > 0) return [fail("docker", `Docker here does not trust the present CA for ${stale.join(", ")}`, mend)];
  const withPort = (await readdir(folder).catch(() => [])).filter((name) => names.some((host) => name === `${host}:443`));
  if (withPort.length > 0)
    return [warn("docker", `${join(folder, withPort[0]!)} is never read: the folder's name has no :443`, mend)];
  return states.includes("trusted") ? [ok("docker", "Docker here trusts the CA")] : [];
};

const trustOf = async (folder: string, roots: readonly Root[]): Promise<"none" | "trusted" | "stale"> => {
  const files = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(".crt"));
  if (files.length === 0) return "none";
  const found = await Promise.all(files.map((name) => readRoots(join(folder, name))));
  const prints = new Set(found.flatMap((list) => (typeof list === "string" ? [] : list.map((root) => root.fingerprint))));
  return roots.every((root) => prints.has(root.fingerprint)) ? "trusted" : "stale";
};
