// What the CA's files amount to: which roots can sign for which names, and every way in which they cannot, told apart.
import type { X509Certificate } from "node:crypto";
import { CaError } from "./ca-error.ts";
import type { CaFiles, CaPaths } from "./ca-files.ts";
import type { HeldKey, KeyFile } from "./ca-pem.ts";
import { describeConstraints } from "./constraints.ts";
import { anchorOf, canIssue, chain, covers, endOf, isOwn, type Root, readRoot, type SigningRoot, startOf } from "./root.ts";

const AFRESH = "move both files away and start again: a new CA is made, which every client must then be told to trust";

/**
 * Whatever can sign, or ought to: each key's certificate that a root in ca.crt stands above (or that stands there itself), and roots there whose
 * key is nowhere; in the order of ca.crt. Undefined when there is no CA yet, or ca.crt can be restored. Throws CaError.
 */
export const readRoots = ({ certificates, keys }: CaFiles, paths: CaPaths): readonly Root[] | undefined => {
  if (keys === undefined) {
    if (certificates === undefined) return undefined;
    const mend = `restore the key from a backup; if it is lost, ${AFRESH}`;
    throw new CaError({ path: paths.keyFile, problem: `is missing, and ${paths.certificateFile} is there`, mend });
  }
  if (certificates === undefined) {
    if (anchorsIn(keys).length > 0) return undefined;
    const mend = `restore the certificate (any client that trusts it has a copy): made again from its key it would be another one; or ${AFRESH}`;
    throw new CaError({ path: paths.certificateFile, problem: `is missing, and its key ${paths.keyFile} is there`, mend });
  }
  const published = certificates.certificates.map((certificate) => read(certificate, paths.certificateFile));
  const roots = published.length === 0 ? [] : inUse(published, [...published, ...readable(keys.certificates)], keys.keys);
  if (roots.some(({ key }) => key !== undefined)) return roots;
  const mend = `put the key that belongs to "${published[0]?.name}" there; or ${AFRESH}`;
  throw new CaError({ path: paths.keyFile, problem: `its key does not match the certificate in ${paths.certificateFile}`, mend });
};

/** What clients have to trust for the keys in the key file, as far as that tells. */
export const anchorsIn = ({ keys, certificates }: KeyFile): readonly X509Certificate[] =>
  distinct(
    withKeys(readable(certificates), keys)
      .filter(({ key }) => key !== undefined)
      .map(anchorOf),
  ).map(({ certificate }) => certificate);

const inUse = (published: readonly Root[], all: readonly Root[], keys: readonly HeldKey[]): readonly Root[] => {
  const places = published.map(({ certificate }) => certificate.fingerprint256);
  const placeOf = (root: Root): number =>
    Math.max(...chain(root).map(({ certificate }) => places.indexOf(certificate.fingerprint256)));
  const roots = withKeys(all, keys).filter((root) => placeOf(root) >= 0);
  const signers = roots.filter(({ key }) => key !== undefined);
  const isAbove = (root: Root): boolean => signers.some(({ above }) => above.some((other) => isSame(other, root)));
  return [...signers, ...roots.filter((root) => root.key === undefined && !isAbove(root))].sort(
    (a, b) => placeOf(a) - placeOf(b),
  );
};

const withKeys = (read: readonly Root[], keys: readonly HeldKey[]): readonly Root[] => {
  const all = distinct(read);
  return all.map((root) => {
    const held = keys.find(({ key }) => root.certificate.checkPrivateKey(key));
    return { ...root, key: held?.key, from: held?.from ?? 0, above: ancestors(root, all) };
  });
};

const isSame = (a: Root, b: Root): boolean => a.certificate.fingerprint256 === b.certificate.fingerprint256;

const distinct = (roots: readonly Root[]): readonly Root[] => [
  ...new Map(roots.map((root) => [root.certificate.fingerprint256, root])).values(),
];

const read = (certificate: X509Certificate, path: string): Root => {
  try {
    return readRoot(certificate);
  } catch (error) {
    const mend = "put the certificate of a CA there (a server's own certificate cannot sign others)";
    throw new CaError({ path, problem: (error as Error).message, mend }, error);
  }
};

/** Beside keys people may keep whatever they like: what is no CA certificate is none of ours. */
const readable = (certificates: readonly X509Certificate[]): readonly Root[] =>
  certificates.flatMap((certificate) => {
    try {
      return [readRoot(certificate)];
    } catch {
      return [];
    }
  });

/** Nearest first. A user's intermediate may stand in the file with what issued it; a root is its own issuer. */
const ancestors = (root: Root, all: readonly Root[], seen: readonly Root[] = [root]): readonly Root[] => {
  if (root.certificate.checkIssued(root.certificate)) return [];
  const parent = all.find((other) => !seen.includes(other) && root.certificate.checkIssued(other.certificate));
  return parent === undefined ? [] : [parent, ...ancestors(parent, all, [...seen, parent])];
};

/**
 * Who signs for the name now: of those to which signing has gone over the last one, else the oldest, which most clients trust. One that is
 * still to come signs where there is no other: rather that than nothing.
 */
export const issuerOf = (roots: readonly Root[], name: string, now: number): SigningRoot | undefined => {
  const able = roots.filter((root) => canIssue(root, now)).filter((root) => covers(root, name));
  const due = able.filter(({ from }) => from <= now).sort((a, b) => b.from - a.from);
  return due[0] ?? able.sort((a, b) => a.from - b.from)[0];
};

/** Names that no root speaks for. */
export const uncovered = (roots: readonly Root[], names: readonly string[]): readonly string[] =>
  names.filter((name) => !roots.some((root) => covers(root, name)));

/** Throws CaError when a name is some root's, and none of those can sign for it now. */
export const refuseUnusable = (roots: readonly Root[], names: readonly string[], now: number, paths: CaPaths): void => {
  for (const name of names) {
    const root = roots.find((root) => covers(root, name));
    if (root !== undefined && issuerOf(roots, name, now) === undefined) throw unusable(root, name, now, paths);
  }
};

const unusable = (root: Root, name: string, now: number, { certificateFile, keyFile }: CaPaths): CaError => {
  const what = `the CA certificate "${root.name}", which covers ${name},`;
  if (root.key === undefined) {
    const mend = `restore its key from a backup; if it is lost, take that certificate out of ${certificateFile}`;
    return new CaError({ path: keyFile, problem: `holds no key for ${what}`, mend });
  }
  if (now < startOf(root)) {
    const mend = `set this machine's clock, which says ${day(now)}`;
    return new CaError({ path: certificateFile, problem: `${what} is not valid before ${day(startOf(root))}`, mend });
  }
  const mend = `if this machine's clock is right (${day(now)}): \`layover ca rotate --now\`, and let clients trust the new root`;
  return new CaError({ path: certificateFile, problem: `${what} expired on ${day(endOf(root))}`, mend });
};

const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** The user's own CA, where that is what signing has gone over to last: only they can make a further one like it. */
export const foreignRoot = (roots: readonly Root[], now: number): Root | undefined => {
  const held = roots.filter(({ key }) => key !== undefined);
  const last = Math.max(0, ...held.map(({ from }) => from).filter((from) => from <= now));
  return held.find((root) => root.from === last && !isOwn(root));
};

/** What to say when the user's own CA leaves names out. */
export const notCovered = (root: Root, names: readonly string[], path: string): CaError => {
  const problem = `the CA "${root.name}" does not cover ${names.join(", ")} (its constraints: ${describeConstraints(root.constraints)})`;
  const mend = "remove what it does not cover from the configuration, or add to the two files a CA that covers it";
  return new CaError({ path, problem, mend });
};
