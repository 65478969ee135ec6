// A CA that somebody else made takes over: their key, its certificate, and all that stands above it up to the root that clients trust. Nothing
// is taken that some client would refuse later.
import { readTextFile, UnreadableFile } from "../lib/text-file.ts";
import { CaError } from "./ca-error.ts";
import { parseCertificateFile, parseKeyFile } from "./ca-pem.ts";
import { describeConstraints } from "./constraints.ts";
import { checkChain } from "./import-check.ts";
import type { CaOptions } from "./plan.ts";
import { covers, type Root, readRoot, type SigningRoot } from "./root.ts";
import { changing, type Succession, succeed } from "./rotate.ts";

export interface Brought {
  /** PEM: the signing CA's certificate, what issued that, and so on up to a root, in any order. */
  readonly certificateFile: string;
  readonly keyFile: string;
  /** For a key that is encrypted. */
  readonly passphrase: string | undefined;
  /** Milliseconds until it signs. */
  readonly overlap: number;
}

const MAX_BYTES = 256 * 1024;

/** Throws CaError, and changes nothing then. */
export const importCa = async (options: CaOptions, brought: Brought): Promise<Succession> => {
  const root = await readBrought(brought, options.clock());
  return changing(options, (opened) => {
    const held = opened.roots.find(({ key, certificate }) => key !== undefined && sameAs(certificate, root));
    if (held !== undefined) throw alreadyThere(held, brought);
    const bare = opened.plan.names.filter((name) => !covers(root, name));
    if (bare.length > 0) throw leavesOut(root, bare, brought);
    return succeed(opened, root, brought.overlap);
  });
};

const sameAs = ({ fingerprint256 }: Root["certificate"], { certificate }: Root): boolean =>
  fingerprint256 === certificate.fingerprint256;

const readBrought = async ({ certificateFile, keyFile, passphrase }: Brought, now: number): Promise<SigningRoot> => {
  const { certificates } = parseCertificateFile(certificateFile, await textOf(certificateFile));
  const { keys } = parseKeyFile(keyFile, await textOf(keyFile), passphrase);
  const [held] = keys;
  if (held === undefined || keys.length > 1)
    throw new CaError({ path: keyFile, problem: "holds more than one key", mend: "name a file with the CA's own key alone" });
  const own = certificates.find((certificate) => certificate.checkPrivateKey(held.key));
  if (own === undefined) {
    const mend = "name the certificate that belongs to the key, with what stands above it";
    throw new CaError({ path: certificateFile, problem: `holds no certificate for the key in ${keyFile}`, mend });
  }
  const [signer, ...above] = checkChain(own, certificates, certificateFile, now).map((certificate) => readRoot(certificate));
  return { ...signer!, key: held.key, above };
};

const textOf = async (path: string): Promise<string> => {
  try {
    return await readTextFile(path, MAX_BYTES);
  } catch (error) {
    if (!(error instanceof UnreadableFile)) throw error;
    throw new CaError({ path, problem: error.message, mend: "name a PEM file that this user may read" });
  }
};

const alreadyThere = ({ name, certificate }: Root, { certificateFile }: Brought): CaError =>
  new CaError({
    path: certificateFile,
    problem: `"${name}" is among Layover's CAs already`,
    mend: `\`layover ca rotate --to ${certificate.fingerprint256.slice(0, 11)}\` lets it sign`,
  });

const leavesOut = (root: Root, names: readonly string[], { certificateFile }: Brought): CaError =>
  new CaError({
    path: certificateFile,
    problem: `the CA "${root.name}" does not cover ${names.join(", ")} (it covers: ${describeConstraints(root.constraints)})`,
    mend: "have one made that covers them, or remove those sites from the configuration",
  });
