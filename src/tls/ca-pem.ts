// What the CA's two files hold, as PEM. ca.crt holds certificates only; ca.key holds keys, each followed by its own certificate if Layover made it.
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { CaError } from "./ca-error.ts";
import { canSign } from "./x509.ts";

export interface CertificateFile {
  readonly text: string;
  readonly certificates: readonly X509Certificate[];
}

export interface KeyFile extends CertificateFile {
  readonly keys: readonly KeyObject[];
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
export const parseKeyFile = (path: string, text: string): KeyFile => {
  const blocks = pemBlocks(text);
  const keys = blocks.filter(isKey).map((block) => parseKey(path, block));
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
}

const pemBlocks = (text: string): Block[] =>
  [...text.matchAll(/-----BEGIN ([A-Z0-9 ]{1,40})-----(?:[^-]|-(?!----))*-----END \1-----/g)].map(([pem, label = ""]) => ({
    label,
    pem,
  }));
const isKey = ({ label }: Block): boolean => label.endsWith("PRIVATE KEY");
const isCertificate = ({ label }: Block): boolean => label === "CERTIFICATE";

const parseCertificate = (path: string, { pem }: Block): X509Certificate => {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    const mend = "restore it from a backup, or remove the file, and it is written again";
    throw new CaError({ path, problem: `holds a certificate that cannot be read: ${(error as Error).message}`, mend }, error);
  }
};

// OpenSSL's own words about a key are left out: nothing of what is in this file may reach a log.
const parseKey = (path: string, { label, pem }: Block): KeyObject => {
  if (label.startsWith("ENCRYPTED") || pem.includes("Proc-Type: 4,ENCRYPTED")) {
    const mend = "decrypt it with `openssl pkey`, into a file of mode 0600";
    throw new CaError({ path, problem: "the private key is encrypted, and there is nobody to ask for its passphrase", mend });
  }
  const key = createKey(pem);
  if (key === undefined) {
    throw new CaError({ path, problem: "holds a private key that cannot be read", mend: "restore it from a backup" });
  }
  if (canSign(key)) return key;
  const mend = "use a CA with an EC (P-256), RSA or Ed25519 key";
  throw new CaError({ path, problem: `holds a key of the type ${key.asymmetricKeyType}, which cannot sign for clients`, mend });
};

const createKey = (pem: string): KeyObject | undefined => {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
};
