// Certificates for tests: roots made by the product's own code.
import { createPublicKey, generateKeyPairSync, type KeyObject, type X509Certificate } from "node:crypto";
import { onlyNames } from "../../src/tls/constraints.ts";
import { caExtensions, keyIdentifier, leafExtensions, signCertificate, subjectOf } from "../../src/tls/x509.ts";

const DAY = 86_400_000;

export interface TestRoot {
  readonly certificate: X509Certificate;
  readonly pem: string;
  readonly key: string;
  readonly privateKey: KeyObject;
}

interface Wanted {
  readonly from?: number;
  readonly until?: number;
  readonly name?: string;
  /** How many CAs may stand below it. */
  readonly below?: number;
  /** Whoever signs it, and their name; itself, for a root. */
  readonly above?: { readonly root: TestRoot; readonly name: string };
}

/** Without names: unconstrained. Times in days from now. */
export const makeRoot = (names: readonly string[], wanted: Wanted = {}): TestRoot => {
  const { from = -1, until = 365, name = "Test CA", below = 0, above } = wanted;
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const constraints = names.length === 0 ? undefined : onlyNames(names);
  const issuerKeyId = above && keyIdentifier(createPublicKey(above.root.privateKey));
  const certificate = signCertificate(
    {
      subject: subjectOf(name),
      publicKey,
      notBefore: Date.now() + from * DAY,
      notAfter: Date.now() + until * DAY,
      extensions: caExtensions({ keyId: keyIdentifier(publicKey), ...(issuerKeyId && { issuerKeyId }), below, constraints }),
    },
    { subject: subjectOf(above?.name ?? name), key: above?.root.privateKey ?? privateKey },
  );
  const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  return { certificate, pem: `${certificate.toString().trim()}\n`, key, privateKey };
};

/** What a TLS server needs to show for these names, signed by the root. Times in hours from now. */
export const makeLeaf = (root: TestRoot, names: readonly string[], { from = -1, until = 1, name = "Test CA" } = {}) => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const draft = {
    subject: subjectOf(),
    publicKey,
    notBefore: Date.now() + from * 3_600_000,
    notAfter: Date.now() + until * 3_600_000,
    extensions: leafExtensions(keyIdentifier(createPublicKey(root.privateKey)), names),
  };
  const cert = signCertificate(draft, { subject: subjectOf(name), key: root.privateKey }).toString();
  return { cert, key: privateKey.export({ type: "pkcs8", format: "pem" }) };
};
