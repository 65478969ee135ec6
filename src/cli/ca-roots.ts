// The roots in a public certificate file, as set-up, doctor and `ca show` need to know them.
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { decodeConstraints, describeConstraints, permits } from "../tls/constraints.ts";
import { OID, readCertificate } from "../tls/x509.ts";

export interface Root {
  readonly certificate: X509Certificate;
  readonly pem: string;
  readonly subject: string;
  /** SHA-256, `AA:BB:…`. */
  readonly fingerprint: string;
  /** For people. */
  readonly covers: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Whether clients would take a leaf of this root for that name. */
  signs(name: string): boolean;
}

/** At least one root, or in words why there is none. */
export const readRoots = async (file: string): Promise<readonly Root[] | string> => {
  try {
    return parseRoots(await readFile(file, "utf8"));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return "not there yet: it is made when Layover first starts";
    return code === "EACCES" ? "may not be read by this user" : message;
  }
};

/** The same from text. */
export const parseRoots = (pem: string): readonly Root[] | string => {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) return "holds no certificate in PEM form";
  try {
    return blocks.map(toRoot);
  } catch (error) {
    return `holds a certificate that cannot be read (${(error as Error).message})`;
  }
};

const toRoot = (block: string): Root => {
  const certificate = new X509Certificate(block);
  const constraints = decodeConstraints(readCertificate(certificate).extensions.get(OID.nameConstraints));
  return {
    certificate,
    pem: `${block}\n`,
    subject: certificate.subject.replaceAll("\n", ", "),
    fingerprint: certificate.fingerprint256,
    covers: describeConstraints(constraints),
    notBefore: new Date(certificate.validFrom),
    notAfter: new Date(certificate.validTo),
    signs: (name) => permits(constraints, name),
  };
};
