// One root takes over from another. It is published at once, signs later, when builders have fetched ca.crt, and what it supersedes stays
// published until it is retired: at no moment does something sign that an up-to-date client could not know.
import type { X509Certificate } from "node:crypto";
import { dirname } from "node:path";
import { CaError } from "./ca-error.ts";
import { type CaFiles, makePrivateDirectory, readCaFiles, writeFile } from "./ca-files.ts";
import { retimed, without } from "./ca-pem.ts";
import { type CaOptions, type Plan, planOf } from "./plan.ts";
import { locked, newRoot, noneYet, publish } from "./publish.ts";
import { anchorOf, chain, endOf, type Root, type SigningRoot } from "./root.ts";
import { readRoots } from "./roots.ts";
import { isMeant, superseded } from "./standing.ts";

interface Opened {
  readonly plan: Plan;
  readonly files: CaFiles;
  readonly roots: readonly Root[];
  readonly now: number;
}

export interface Succession {
  readonly root: Root;
  /** When signing goes over to it, in milliseconds. */
  readonly from: number;
}

/** Runs `work` on what the files hold, alone. Throws CaError. */
export const changing = async <T>(options: CaOptions, work: (opened: Opened) => T): Promise<T> => {
  const plan = planOf(options);
  makePrivateDirectory(dirname(plan.keyFile));
  return locked(plan, () => {
    const files = readCaFiles(plan);
    const roots = readRoots(files, plan);
    if (roots === undefined) throw noneYet(plan);
    return work({ plan, files, roots, now: plan.clock() });
  });
};

/** Makes a root for all that is wanted now. `overlap`: milliseconds until it signs; 0 is for a key that others know. Throws CaError. */
export const rotate = (options: CaOptions, overlap: number): Promise<Succession> =>
  changing(options, (opened) => {
    const { plan, roots, now } = opened;
    const coming = roots.find(({ from }) => from > now);
    if (coming !== undefined && overlap > 0) throw planned(coming, plan);
    return succeed(opened, newRoot(plan, plan.wanted), overlap);
  });

/** Lets a further root take over, made here or brought by the user. What was to take over before is forgotten: there is one plan. */
export const succeed = ({ plan, files, roots, now }: Opened, root: SigningRoot, overlap: number): Succession => {
  const from = after(roots, now) + overlap;
  refuseTooLate(root, from, plan);
  const text = files.keys && retimed(files.keys.text, keyOf(roots.filter((other) => other.from > now)), 0);
  publish(plan, files.keys && text !== undefined ? { ...files, keys: { ...files.keys, text } } : files, root, from);
  return { root, from };
};

/** The same for one that is in the files already. Throws CaError. */
export const switchTo = (options: CaOptions, fingerprint: string, overlap: number): Promise<Succession> =>
  changing(options, ({ plan, files, roots, now }) => {
    const found = roots.filter((root) => root.key !== undefined && isMeant(root, fingerprint));
    const [root] = found;
    if (root === undefined || found.length > 1) throw unclear(fingerprint, found.length, plan);
    const from =
      after(
        roots.filter((other) => other !== root),
        now,
      ) + overlap;
    refuseTooLate(root, from, plan);
    const others = roots.filter((other) => other.from > now && other !== root);
    const text = retimed(retimed(files.keys?.text ?? "", keyOf(others), 0), keyOf([root]), from);
    writeFile(plan.keyFile, "private", text);
    return { root, from };
  });

/** Later than all that signing has gone over to before, whatever the clock did meanwhile. */
const after = (roots: readonly Root[], now: number): number =>
  Math.max(
    now,
    ...roots
      .map(({ from }) => from)
      .filter((from) => from <= now)
      .map((from) => from + 1),
  );

/** A root that would have ended by then never signs, and clients would have fetched it in vain. */
const refuseTooLate = (root: Root, from: number, { keyFile }: Plan): void => {
  const end = endOf(root);
  if (from < end) return;
  const problem = `"${anchorOf(root).name}" ends on ${new Date(end).toISOString().slice(0, 10)}, before it would sign`;
  throw new CaError({ path: keyFile, problem, mend: "name a shorter time with --overlap, such as 30d" });
};

const keyOf =
  (roots: readonly Root[]) =>
  (key: Parameters<X509Certificate["checkPrivateKey"]>[0]): boolean =>
    roots.some(({ certificate }) => certificate.checkPrivateKey(key));

/** Takes away what signs for nothing any more, from ca.crt first: a key without its certificate does no harm. Throws CaError. */
export const retire = (options: CaOptions): Promise<readonly Root[]> =>
  changing(options, ({ plan, files, roots, now }) => {
    const gone = superseded(roots, plan.wanted, now);
    const kept = new Set(roots.filter((root) => !gone.includes(root)).flatMap(fingerprintsOf));
    const prints = new Set(gone.flatMap(fingerprintsOf).filter((print) => !kept.has(print)));
    if (gone.length === 0 || prints.size === 0) return [];
    const isGone = (held: Parameters<Parameters<typeof without>[1]>[0]): boolean =>
      "fingerprint256" in held ? prints.has(held.fingerprint256) : keyOf(gone)(held);
    writeFile(plan.certificateFile, "public", without(files.certificates?.text ?? "", isGone));
    writeFile(plan.keyFile, "private", without(files.keys?.text ?? "", isGone));
    return gone;
  });

const fingerprintsOf = (root: Root): readonly string[] => chain(root).map(({ certificate }) => certificate.fingerprint256);

const planned = (coming: Root, { keyFile }: Plan): CaError =>
  new CaError({
    path: keyFile,
    problem: `"${anchorOf(coming).name}" is to sign from ${new Date(coming.from).toISOString()}`,
    mend: `let it sign at once with \`ca rotate --to ${anchorOf(coming).certificate.fingerprint256.slice(0, 11)} --now\`, or make another one in its place with \`--now\``,
  });

const unclear = (fingerprint: string, found: number, { keyFile }: Plan): CaError =>
  new CaError({
    path: keyFile,
    problem: `${found === 0 ? "no CA that can sign" : "more than one CA"} has a fingerprint that begins with ${fingerprint}`,
    mend: "take it from `layover ca show`",
  });
