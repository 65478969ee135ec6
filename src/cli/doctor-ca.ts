// Doctor's checks of the CA, from its files alone; and of what Docker on this machine trusts.
import { createPrivateKey } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Root, readRoots } from "./ca-roots.ts";
import { type Finding, fail, ok, reasonOf, warn } from "./doctor-finding.ts";

const SOON_MS = 30 * 86_400_000;

export interface AuthorityCheck {
  readonly certificate: string;
  readonly key: string;
  /** Every name that TLS answers for. */
  readonly names: readonly string[];
  readonly now: number;
}

export const checkAuthority = async ({ certificate, key, names, now }: AuthorityCheck): Promise<Finding[]> => {
  const roots = await readRoots(certificate);
  if (typeof roots !== "string") return judge(roots, names, now, await checkKey(roots, certificate, key));
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
    ...roots.map((root) => checkTime(root, now)),
    checkCover(
      roots.filter((root) => root.notAfter.getTime() > now),
      names,
    ),
    key,
  ];
  const wrong = findings.filter((finding) => finding !== undefined);
  if (wrong.length > 0) return wrong;
  const first = roots[0]!;
  return [
    ok(
      "ca",
      `${first.subject} covers all ${names.length} names, until ${first.notAfter.toISOString().slice(0, 10)}; ${first.fingerprint}`,
    ),
  ];
};

const checkTime = ({ subject, notBefore, notAfter }: Root, now: number): Finding | undefined => {
  const renew =
    "move certificate and key away and restart Layover for a new CA, which clients must then trust (`layover setup docker --write`)";
  if (notBefore.getTime() > now)
    return fail("ca", `${subject} is valid only from ${notBefore.toISOString()}`, "set this machine's clock");
  if (notAfter.getTime() <= now) return fail("ca", `${subject} expired on ${notAfter.toISOString().slice(0, 10)}`, renew);
  return notAfter.getTime() - now < SOON_MS
    ? warn("ca", `${subject} expires on ${notAfter.toISOString().slice(0, 10)}`, renew)
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

/** Undefined: nothing is wrong. The key is parsed to compare it, and leaves no trace in what is said. */
const checkKey = async (roots: readonly Root[], certificate: string, file: string): Promise<Finding | undefined> => {
  const mode = await stat(file).then((stats) => stats.mode & 0o777, reasonOf);
  if (typeof mode === "string") {
    return fail(
      "ca",
      `the CA's key ${file} cannot be read: ${mode}`,
      "put it back from your copy, or run this as the user that Layover runs as",
    );
  }
  if ((mode & 0o077) !== 0)
    return fail("ca", `the CA's key ${file} is open to others (mode ${mode.toString(8)})`, `chmod 600 ${file}`);
  const text = await readFile(file, "utf8").catch(() => undefined);
  if (text === undefined)
    return warn("ca", `the CA's key ${file} may not be read by this user`, "run this as the user that Layover runs as");
  const keys = (text.match(/-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+-----END [A-Z ]*PRIVATE KEY-----/g) ?? []).map(parseKey);
  const matches = roots.some((root) => keys.some((key) => key !== undefined && root.certificate.checkPrivateKey(key)));
  return matches
    ? undefined
    : fail("ca", `the key ${file} belongs to no certificate in ${certificate}`, "put the two files back that belong together");
};

const parseKey = (pem: string) => {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
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
