// A leaf: what the front end shows for one name. Its key is made for it, lives in memory only, and is never reused.
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { BACKDATE, DAY, endOf, type SigningRoot, startOf } from "./root.ts";
import { leafExtensions, signCertificate, subjectOf } from "./x509.ts";

export interface Leaf {
  readonly serial: string;
  /** Milliseconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** The leaf, then what stands between it and the root, as PEM. The root itself is the client's to have. */
  readonly chain: string;
  readonly key: KeyObject;
}

const LEAF_DAYS = 30;

/** P-256, thirty days or until its issuer ends. `names`: exact host names, and addresses if the root is not constrained. */
export const mintLeaf = (root: SigningRoot, names: readonly string[], now: number): Leaf => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const notBefore = Math.max(now - BACKDATE, startOf(root));
  const notAfter = Math.min(now + LEAF_DAYS * DAY, endOf(root));
  const certificate = signCertificate(
    { subject: subjectOf(), publicKey, notBefore, notAfter, extensions: leafExtensions(root.keyId, names) },
    root,
  );
  const between = [root, ...root.above].filter(({ certificate }) => certificate.subject !== certificate.issuer);
  const chain = [certificate, ...between.map(({ certificate }) => certificate)].map(String).join("");
  return { serial: certificate.serialNumber, notBefore, notAfter, chain, key: privateKey };
};
