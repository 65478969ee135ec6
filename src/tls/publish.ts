// A further root goes into the CA's files: its key first, then what clients are to trust. Whoever sees a certificate in ca.crt finds its key; a
// key without one does no harm, as nothing signs that clients could not have.
import { CaError } from "./ca-error.ts";
import { type CaFiles, type CaPaths, writeFile } from "./ca-files.ts";
import { withLock } from "./ca-lock.ts";
import { keyEntry } from "./ca-pem.ts";
import type { Plan } from "./plan.ts";
import { anchorOf, chain, makeRoot, type SigningRoot } from "./root.ts";

// A clock before this release is a machine that has not heard the time yet: its CA would be dead as soon as it had.
const EARLIEST = Date.UTC(2026, 0, 1);

/** Runs `work`, which reads the files anew, while no other process changes them. */
export const locked = <T>({ keyFile }: CaPaths, work: () => T): Promise<T> => withLock(`${keyFile}.lock`, work);

/** One for these names, or for any where the configuration wants no constraints. Throws CaError. */
export const newRoot = ({ keyFile, constraints, hostname, clock }: Plan, names: readonly string[]): SigningRoot => {
  const now = clock();
  if (now < EARLIEST) {
    const mend = "set the clock (or wait for NTP) and start again";
    throw new CaError({ path: keyFile, problem: `no CA is made while the clock says ${new Date(now).toISOString()}`, mend });
  }
  return makeRoot({ names: constraints === "none" ? "all" : names, now, hostname });
};

/** `from`: when signing goes over to it; 0: it signs at once what no other covers. To be called under the lock. Throws CaError. */
export const publish = (paths: CaPaths, { keys, certificates }: CaFiles, root: SigningRoot, from: number): void => {
  const above = chain(root).map(({ certificate }) => certificate);
  writeFile(paths.keyFile, "private", endLine(keys?.text) + keyEntry(root.key, from, above));
  const { certificate } = anchorOf(root);
  if (certificates?.certificates.some(({ fingerprint256 }) => fingerprint256 === certificate.fingerprint256)) return;
  writeFile(paths.certificateFile, "public", endLine(certificates?.text) + String(certificate));
};

const endLine = (text = ""): string => (text === "" || text.endsWith("\n") ? text : `${text}\n`);

/** For what works on a CA that is there. */
export const noneYet = ({ certificateFile }: CaPaths): CaError =>
  new CaError({
    path: certificateFile,
    problem: "there is no whole CA yet",
    mend: "start Layover once (`layover serve`): it makes one, or restores the certificate from its key",
  });
