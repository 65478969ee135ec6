// The CA that signs what the front end shows: opened from its files, made on first start, given a further root for names to come.
// A root once published is never changed or taken away: no client's trust breaks by a start.

import { isIP } from "node:net";
import { dirname, resolve } from "node:path";
import type { Clock } from "../lib/clock.ts";
import { plainHost } from "../lib/host-name.ts";
import { CaError } from "./ca-error.ts";
import { type CaFiles, type CaPaths, makePrivateDirectory, readCaFiles, writeFile } from "./ca-files.ts";
import { withLock } from "./ca-lock.ts";
import type { KeyFile } from "./ca-pem.ts";
import { isHostName } from "./host.ts";
import { canIssue, endOf, makeRoot, type Root, type SigningRoot } from "./root.ts";
import { foreignRoot, issuerOf, notCovered, ownCertificates, readRoots, refuseUnusable, uncovered } from "./roots.ts";

export interface CaOptions extends CaPaths {
  /** Every name that is to be served: sites' and Layover's own. Addresses only with `constraints: "none"`. */
  readonly names: readonly string[];
  /** Names for sites to come, with all below them; "none": a root that is made covers anything. */
  readonly constraints: readonly string[] | "none";
  readonly clock: Clock;
  /** Goes into the common name of a root that is made. */
  readonly hostname: string;
}

/** What opening has done: `found` changed nothing; after `made` and `extended` clients need ca.crt (again). */
export type Origin = "found" | "made" | "extended" | "restored";

export interface Ca {
  readonly origin: Origin;
  /** Every certificate of ca.crt as PEM, and nothing else of it. */
  readonly bundle: string;
  /** SHA-256 of each root in the bundle's order, as colon-separated hex. */
  readonly fingerprints: readonly string[];
  readonly roots: readonly Root[];
  /** When the first of the roots in use ends, in milliseconds. */
  readonly notAfter: number;
  /** The root that signs for this name now; undefined when none can. */
  readonly issuerFor: (name: string) => SigningRoot | undefined;
}

// A clock before this release is a machine that has not heard the time yet: its CA would be dead as soon as it had.
const EARLIEST = Date.UTC(2026, 0, 1);

/** Any number of processes may open at once; they end up with one CA. Throws CaError. */
export const openCa = async (options: CaOptions): Promise<Ca> => {
  const plan = { ...options, names: plainNames(options.names, options), wanted: wantedNames(options) };
  if (resolve(plan.certificateFile) === resolve(plan.keyFile)) {
    const mend = "name two files: the certificate is handed out, the key never";
    throw new CaError({ path: plan.keyFile, problem: "is named for both the certificate and the key", mend });
  }
  const found = inspect(plan);
  if (found.roots !== undefined && found.missing.length === 0) return caOf(found.roots, "found", plan.clock);
  makePrivateDirectory(dirname(plan.keyFile));
  // What was seen without the lock may be another process's half of the work: looked at again.
  return withLock(`${plan.keyFile}.lock`, () => settle(plan, inspect(plan)));
};

interface Plan extends CaOptions {
  /** All that a root ought to speak for: the names, and those to come. */
  readonly wanted: readonly string[];
}

const wantedNames = (options: CaOptions): readonly string[] =>
  plainNames([...options.names, ...(options.constraints === "none" ? [] : options.constraints)], options);

const plainNames = (names: readonly string[], { certificateFile, constraints }: CaOptions): readonly string[] =>
  [...new Set(names.map(plainHost))].map((name) => {
    if (isHostName(name) || (isIP(name) !== 0 && constraints === "none")) return name;
    const problem = `no certificate can be made for ${JSON.stringify(name)}`;
    if (isIP(name) === 0)
      throw new CaError({ path: certificateFile, problem, mend: "write an exact host name, without * or port" });
    throw new CaError({
      path: certificateFile,
      problem,
      mend: "addresses need a CA without constraints: `ca: { constraints: none }`",
    });
  });

interface Found {
  readonly files: CaFiles;
  /** Undefined: there is no CA yet, or its certificate is to be restored. */
  readonly roots: readonly Root[] | undefined;
  /** Wanted names that no root speaks for. */
  readonly missing: readonly string[];
}

const inspect = (plan: Plan): Found => {
  const files = readCaFiles(plan);
  const roots = readRoots(files, plan);
  if (roots === undefined) return { files, roots, missing: plan.wanted };
  refuseUnusable(roots, plan.names, plan.clock(), plan);
  const foreign = foreignRoot(roots);
  if (foreign === undefined) return { files, roots, missing: uncovered(roots, plan.wanted) };
  // A user's own CA need not cover names to come: its owner sees to it when they come.
  const left = uncovered(roots, plan.names);
  if (left.length > 0) throw notCovered(foreign, left, plan.certificateFile);
  return { files, roots, missing: [] };
};

const settle = (plan: Plan, found: Found): Ca => {
  if (found.roots === undefined && found.files.keys !== undefined) return restore(plan, found.files.keys);
  if (found.roots !== undefined && found.missing.length === 0) return caOf(found.roots, "found", plan.clock);
  return addRoot(plan, found);
};

/** A first start that was cut short between the two files, or a ca.crt that was lost: ca.key has it. */
const restore = (plan: Plan, keys: KeyFile): Ca => {
  writeFile(plan.certificateFile, "public", ownCertificates(keys).map(String).join(""));
  const found = inspect(plan);
  if (found.roots !== undefined && found.missing.length > 0) return addRoot(plan, found);
  return caOf(found.roots ?? [], "restored", plan.clock);
};

/** The key goes first: a key without its certificate does no harm, and whoever sees the certificate finds its key. */
const addRoot = (plan: Plan, { files, roots = [], missing }: Found): Ca => {
  const now = plan.clock();
  if (now < EARLIEST) {
    const mend = "set the clock (or wait for NTP) and start again";
    throw new CaError({ path: plan.keyFile, problem: `no CA is made while the clock says ${new Date(now).toISOString()}`, mend });
  }
  const root = makeRoot({ names: plan.constraints === "none" ? "all" : missing, now, hostname: plan.hostname });
  const pem = String(root.certificate);
  const key = String(root.key.export({ type: "pkcs8", format: "pem" }));
  writeFile(plan.keyFile, "private", `${endLine(files.keys?.text)}${key}${pem}`);
  writeFile(plan.certificateFile, "public", `${endLine(files.certificates?.text)}${pem}`);
  return caOf([...roots, root], roots.length === 0 ? "made" : "extended", plan.clock);
};

const endLine = (text = ""): string => (text === "" || text.endsWith("\n") ? text : `${text}\n`);

const caOf = (roots: readonly Root[], origin: Origin, clock: Clock): Ca => ({
  origin,
  bundle: roots.map(({ certificate }) => String(certificate)).join(""),
  fingerprints: roots.map(({ certificate }) => certificate.fingerprint256),
  roots,
  notAfter: Math.min(...roots.filter((root) => canIssue(root, clock())).map(endOf)),
  issuerFor: (name) => issuerOf(roots, plainHost(name), clock()),
});
