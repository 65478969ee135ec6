// What the CA's files amount to: which roots can sign for which names, and every way in which they cannot, told apart.
import type { KeyObject, X509Certificate } from "node:crypto";
import { CaError } from "./ca-error.ts";
import type { CaFiles, CaPaths } from "./ca-files.ts";
import type { KeyFile } from "./ca-pem.ts";
import { describeConstraints } from "./constraints.ts";
import { canIssue, covers, endOf, isOwn, type Root, readRoot, type SigningRoot, startOf } from "./root.ts";

const AFRESH = "move both files away and start again: a new CA is made, which every client must then be told to trust";

/** The roots of ca.crt in its order, each with its key. Undefined when there is no CA yet, or ca.crt can be restored. Throws CaError. */
export const readRoots = ({ certificates, keys }: CaFiles, paths: CaPaths): readonly Root[] | undefined => {
  if (keys === undefined) {
    if (certificates === undefined) return undefined;
    const mend = `restore the key from a backup; if it is lost, ${AFRESH}`;
    throw new CaError({ path: paths.keyFile, problem: `is missing, and ${paths.certificateFile} is there`, mend });
  }
  if (certificates === undefined) {
    if (ownCertificates(keys).length > 0) return undefined;
    const mend = `restore the certificate (any client that trusts it has a copy): made again from its key it would be another one; or ${AFRESH}`;
    throw new CaError({ path: paths.certificateFile, problem: `is missing, and its key ${paths.keyFile} is there`, mend });
  }
  const roots = joinKeys(certificates.certificates, keys.keys, paths.certificateFile);
  if (roots.some(({ key }) => key !== undefined)) return roots;
  const mend = `put the key that belongs to "${roots[0]?.name}" there; or ${AFRESH}`;
  throw new CaError({ path: paths.keyFile, problem: `its key does not match the certificate in ${paths.certificateFile}`, mend });
};

/** Certificates that stand in the key file beside their keys. */
export const ownCertificates = ({ keys, certificates }: KeyFile): readonly X509Certificate[] =>
  certificates.filter((certificate) => keys.some((key) => certificate.checkPrivateKey(key)));

const joinKeys = (certificates: readonly X509Certificate[], keys: readonly KeyObject[], path: string): readonly Root[] => {
  const distinct = [...new Map(certificates.map((certificate) => [certificate.fingerprint256, certificate])).values()];
  const roots = distinct.map((certificate) => ({
    ...read(certificate, path),
    key: keys.find((key) => certificate.checkPrivateKey(key)),
  }));
  return roots.map((root) => ({ ...root, above: ancestors(root, roots) }));
};

const read = (certificate: X509Certificate, path: string): Root => {
  try {
    return readRoot(certificate);
  } catch (error) {
    const mend = "put the certificate of a CA there (a server's own certificate cannot sign others)";
    throw new CaError({ path, problem: (error as Error).message, mend }, error);
  }
};

/** Nearest first. A user's intermediate may stand in the file with what issued it; a root is its own issuer. */
const ancestors = (root: Root, all: readonly Root[], seen: readonly Root[] = [root]): readonly Root[] => {
  const parent = all.find((other) => !seen.includes(other) && root.certificate.checkIssued(other.certificate));
  if (parent === undefined || root.certificate.checkIssued(root.certificate)) return [];
  return [parent, ...ancestors(parent, all, [...seen, parent])];
};

/** The first root in the file's order that can sign for the name now: the oldest is the one that most clients trust. */
export const issuerOf = (roots: readonly Root[], name: string, now: number): SigningRoot | undefined =>
  roots.filter((root) => canIssue(root, now)).find((root) => covers(root, name));

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
  const mend = `if this machine's clock is right (${day(now)}), ${AFRESH}`;
  return new CaError({ path: certificateFile, problem: `${what} expired on ${day(endOf(root))}`, mend });
};

const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** The first root that signs and is the user's own: only they can make a further one like it. */
export const foreignRoot = (roots: readonly Root[]): Root | undefined =>
  roots.find((root) => root.key !== undefined && !isOwn(root));

/** What to say when the user's own CA leaves names out. */
export const notCovered = (root: Root, names: readonly string[], path: string): CaError => {
  const problem = `the CA "${root.name}" does not cover ${names.join(", ")} (its constraints: ${describeConstraints(root.constraints)})`;
  const mend = "remove what it does not cover from the configuration, or add to the two files a CA that covers it";
  return new CaError({ path, problem, mend });
};
