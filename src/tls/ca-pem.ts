// What the CA's two files hold, as PEM. ca.crt holds certificates only; ca.key holds keys, each followed by its own certificate and what stands
// above that, if Layover put it there. A note before a key says when signing goes over to it: one rename commits key, certificates and time.
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { CaError } from "./ca-error.ts";
import { canSign } from "./x509.ts";

export interface CertificateFile {
  readonly text: string;
  readonly certificates: readonly X509Certificate[];
}

export interface HeldKey {
  readonly key: KeyObject;
  /** When signing goes over to it, in milliseconds; 0 without a note. */
  readonly from: number;
}

export interface KeyFile extends CertificateFile {
  readonly keys: readonly HeldKey[];
}

/** Throws CaError, also for a file with a private key in it. */
export const parseCertificateFile = (path: string, text: string): CertificateFile => {
  const blocks = pemBlocks(text);
  if (blocks.some(isKey)) {
    const mend = "take the key out of it, into the key file: this file is handed to clients; if it was, make a new CA";
    throw new CaError({ path, problem: "holds a private key, and is public", mend });
  }
  const certificates = blocks.filter(isCertificate).map((block) => parseCertificate(path, block));
  if (certificates.length > 0) return { text, certificates };
  const mend = "put the CA's certificate there as PEM, or remove the file, and it is written again";
  throw new CaError({ path, problem: "holds no PEM certificate", mend });
};

/** Throws CaError. */
export const parseKeyFile = (path: string, text: string, passphrase?: string): KeyFile => {
  const blocks = pemBlocks(text);
  const keys = blocks.filter(isKey).map((block) => parseKey(path, block, passphrase));
  if (keys.length === 0) {
    throw new CaError({
      path,
      problem: "holds no PEM private key",
      mend: "put the CA's key there as PEM (PKCS#8), or restore it from a backup",
    });
  }
  return { text, keys, certificates: blocks.filter(isCertificate).map((block) => parseCertificate(path, block)) };
};

interface Block {
  readonly label: string;
  readonly pem: string;
  /** Of the note above it. */
  readonly from: string | undefined;
}

const BLOCK = /(?:# signs from ([^\r\n]*)\r?\n)?(-----BEGIN ([A-Z0-9 ]{1,40})-----(?:[^-]|-(?!----))*-----END \3-----)\r?\n?/g;

const pemBlocks = (text: string): Block[] =>
  [...text.matchAll(BLOCK)].map(([, from, pem = "", label = ""]) => ({ label, pem, from }));

/** What makes signing go over to the key below it at that time. */
const noteOf = (from: number): string => (from === 0 ? "" : `# signs from ${new Date(from).toISOString()}\n`);

/** A key with its certificate and what stands above that, as the key file holds them. Takes and gives PEM. */
export const keyEntry = (key: KeyObject, from: number, certificates: readonly X509Certificate[]): string =>
  `${noteOf(from)}${String(key.export({ type: "pkcs8", format: "pem" }))}${certificates.map(String).join("")}`;

/** The text with another time for the keys that `which` names. */
export const retimed = (text: string, which: (key: KeyObject) => boolean, from: number): string =>
  text.replace(BLOCK, (block, _from, pem: string, label: string) => {
    const key = isKey({ label }) ? createKey(pem) : undefined;
    return key !== undefined && which(key) ? `${noteOf(from)}${pem}\n` : block;
  });

/** The text without the keys and certificates that `which` names; what else people wrote stays. */
export const without = (text: string, which: (block: KeyObject | X509Certificate) => boolean): string =>
  text.replace(BLOCK, (block, _from, pem: string, label: string) => {
    const held = isKey({ label }) ? createKey(pem) : isCertificate({ label }) ? new X509Certificate(pem) : undefined;
    return held !== undefined && which(held) ? "" : block;
  });

const isKey = ({ label }: Pick<Block, "label">): boolean => label.endsWith("PRIVATE KEY");
const isCertificate = ({ label }: Pick<Block, "label">): boolean => label === "CERTIFICATE";

const parseCertificate = (path: string, { pem }: Block): X509Certificate => {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    const mend = "restore it from a backup, or remove the file, and it is written again";
    throw new CaError({ path, problem: `holds a certificate that cannot be read: ${(error as Error).message}`, mend }, error);
  }
};

// OpenSSL's own words about a key are left out: nothing of what is in this file may reach a log.
const parseKey = (path: string, block: Block, passphrase: string | undefined): HeldKey => {
  const isEncrypted = block.label.startsWith("ENCRYPTED") || block.pem.includes("Proc-Type: 4,ENCRYPTED");
  if (isEncrypted && passphrase === undefined) {
    const mend =
      "decrypt it with `openssl pkey`, into a file of mode 0600 (`ca import` takes its passphrase from LAYOVER_CA_PASSPHRASE)";
    throw new CaError({ path, problem: "the private key is encrypted, and there is nobody to ask for its passphrase", mend });
  }
  const key = createKey(block.pem, passphrase);
  if (key === undefined && isEncrypted)
    throw new CaError({
      path,
      problem: "the private key does not open with this passphrase",
      mend: "set LAYOVER_CA_PASSPHRASE to the right one",
    });
  if (key === undefined) {
    throw new CaError({ path, problem: "holds a private key that cannot be read", mend: "restore it from a backup" });
  }
  if (canSign(key)) return { key, from: parseTime(path, block.from) };
  const mend = "use a CA with an EC (P-256), RSA or Ed25519 key";
  throw new CaError({ path, problem: `holds a key of the type ${key.asymmetricKeyType}, which cannot sign for clients`, mend });
};

const parseTime = (path: string, text: string | undefined): number => {
  const from = text === undefined ? 0 : Date.parse(text);
  if (Number.isFinite(from) && from >= 0) return from;
  const mend = "write a time such as `# signs from 2026-12-24T00:00:00.000Z`, or remove that line: then the oldest key signs";
  throw new CaError({ path, problem: `holds a time that cannot be read: ${JSON.stringify(text)}`, mend });
};

const createKey = (pem: string, passphrase?: string): KeyObject | undefined => {
  try {
    return createPrivateKey(passphrase === undefined ? pem : { key: pem, passphrase });
  } catch {
    return undefined;
  }
};
