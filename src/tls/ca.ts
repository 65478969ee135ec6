// The CA that signs what the front end shows: opened from its files, made on first start, given a further root for names to come.
// A root once published is never changed or taken away: no client's trust breaks by a start.

import { dirname } from "node:path";
import type { Clock } from "../lib/clock.ts";
import { plainHost } from "../lib/host-name.ts";
import { CaError } from "./ca-error.ts";
import { type CaFiles, makePrivateDirectory, readCaFiles, writeFile } from "./ca-files.ts";
import type { KeyFile } from "./ca-pem.ts";
import { type CaOptions, type Plan, planOf } from "./plan.ts";
import { locked, newRoot, noneYet, publish } from "./publish.ts";
import { canIssue, endOf, type Root, type SigningRoot } from "./root.ts";
import { anchorsIn, foreignRoot, issuerOf, notCovered, readRoots, refuseUnusable, uncovered } from "./roots.ts";

/** What opening has done: `found` changed nothing; after `made` and `extended` clients need ca.crt (again). */
export type Origin = "found" | "made" | "extended" | "restored";

export interface Ca {
  readonly origin: Origin;
  /** Every certificate of ca.crt as PEM, and nothing else of it. */
  readonly bundle: string;
  /** SHA-256 of each root in the bundle's order, as colon-separated hex. */
  readonly fingerprints: readonly string[];
  /** Whatever can sign, or ought to. */
  readonly roots: readonly Root[];
  /** When the first of the roots in use ends, in milliseconds. */
  readonly notAfter: number;
  /** What signs for this name now; undefined when none can. */
  readonly issuerFor: (name: string) => SigningRoot | undefined;
}

/** Any number of processes may open at once; they end up with one CA. Throws CaError. */
export const openCa = async (options: CaOptions): Promise<Ca> => {
  const plan = planOf(options);
  const found = inspect(plan);
  if (found.roots !== undefined && found.missing.length === 0) return caOf(found, "found", plan.clock);
  makePrivateDirectory(dirname(plan.keyFile));
  // What was seen without the lock may be another process's half of the work: looked at again.
  return locked(plan, () => settle(plan));
};

/** What the files amount to, where nothing is to be made. Throws CaError, also where they leave names without a root. */
export const readCa = (options: CaOptions): Ca => {
  const plan = planOf(options);
  const found = inspect(plan);
  if (found.roots === undefined) throw noneYet(plan);
  const bare = uncovered(found.roots, plan.names);
  if (bare.length === 0) return caOf(found, "found", plan.clock);
  throw new CaError({
    path: plan.certificateFile,
    problem: `no root covers ${bare.join(", ")}`,
    mend: "restart Layover: it adds a root for them",
  });
};

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
  const now = plan.clock();
  refuseUnusable(roots, plan.names, now, plan);
  const foreign = foreignRoot(roots, now);
  if (foreign === undefined) return { files, roots, missing: uncovered(roots, plan.wanted) };
  // A user's own CA need not cover names to come: its owner sees to it when they come.
  const left = uncovered(roots, plan.names);
  if (left.length > 0) throw notCovered(foreign, left, plan.certificateFile);
  return { files, roots, missing: [] };
};

const settle = (plan: Plan): Ca => {
  const found = inspect(plan);
  if (found.roots === undefined && found.files.keys !== undefined) return restore(plan, found.files.keys);
  if (found.roots !== undefined && found.missing.length === 0) return caOf(found, "found", plan.clock);
  return extend(plan, found);
};

/** A first start that was cut short between the two files, or a ca.crt that was lost: ca.key has it. */
const restore = (plan: Plan, keys: KeyFile): Ca => {
  writeFile(plan.certificateFile, "public", anchorsIn(keys).map(String).join(""));
  const found = inspect(plan);
  return found.missing.length > 0 ? extend(plan, found) : caOf(found, "restored", plan.clock);
};

const extend = (plan: Plan, { files, roots, missing }: Found): Ca => {
  publish(plan, files, newRoot(plan, missing), 0);
  return caOf(inspect(plan), roots === undefined ? "made" : "extended", plan.clock);
};

const caOf = ({ files, roots = [] }: Found, origin: Origin, clock: Clock): Ca => {
  const anchors = [...new Map(files.certificates?.certificates.map((each) => [each.fingerprint256, each])).values()];
  return {
    origin,
    bundle: anchors.map(String).join(""),
    fingerprints: anchors.map(({ fingerprint256 }) => fingerprint256),
    roots,
    notAfter: Math.min(...roots.filter((root) => canIssue(root, clock())).map(endOf)),
    issuerFor: (name) => issuerOf(roots, plainHost(name), clock()),
  };
};
