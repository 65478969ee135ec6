// A CA certificate, what it may speak for, and its private key where that is held. Made here, or read from the CA's files.
import { generateKeyPairSync, type KeyObject, randomBytes, type X509Certificate } from "node:crypto";
import * as asn1 from "./asn1.ts";
import { decodeConstraints, type NameConstraints, onlyNames, permits } from "./constraints.ts";
import { caExtensions, keyIdentifier, OID, readCertificate, signCertificate, subjectOf } from "./x509.ts";

export interface Root {
  /** The common name, for people. */
  readonly name: string;
  readonly certificate: X509Certificate;
  /** Undefined for a certificate that only stands above another, or whose key is lost: it signs nothing. */
  readonly key: KeyObject | undefined;
  /** When signing goes over to it, in milliseconds; 0: it signs from the beginning what no other covers. */
  readonly from: number;
  /** Milliseconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly constraints: NameConstraints;
  /** The subject key identifier as the certificate holds it; what leaves must repeat. */
  readonly keyId: Buffer;
  readonly subject: asn1.Node;
  /** Those above it in the CA's files, nearest first: an intermediate ends at its root, which has none. */
  readonly above: readonly Root[];
}

/** One whose key is held. */
export type SigningRoot = Root & { readonly key: KeyObject };

export const DAY = 86_400_000;
/** Certificates begin a day early, for clients whose clock is slow. */
export const BACKDATE = 24 * 3_600_000;
const ROOT_DAYS = 5 * 365;
const OWN_PREFIX = "Layover CA ";
// RFC 5280 appendix A: a common name has at most 64 characters.
const SIGNER_SUFFIX = " signer";
const HOST_LENGTH = 64 - OWN_PREFIX.length - " 20260101 abcd".length - SIGNER_SUFFIX.length;

interface RootDraft {
  /** Plain host names that the root may speak for, with what is below them; "all" for a root without constraints. */
  readonly names: readonly string[] | "all";
  readonly now: number;
  /** The machine's, for the common name. */
  readonly hostname: string;
}

/**
 * A new P-256 root of five years, and the intermediate under it that signs leaves and is what this gives. The root's key signs that one
 * certificate and is dropped: whoever steals what is kept is bound by the intermediate's constraints, which Java too enforces (it does not for
 * a root's). Its common name is its own: two roots of one name confuse verifiers that look issuers up by it.
 */
export const makeRoot = ({ names, now, hostname }: RootDraft): SigningRoot => {
  const constraints = names === "all" ? undefined : onlyNames(names);
  const [above, signer] = [
    generateKeyPairSync("ec", { namedCurve: "P-256" }),
    generateKeyPairSync("ec", { namedCurve: "P-256" }),
  ];
  const name = commonName(hostname, now);
  const issuer = { subject: subjectOf(name), key: above.privateKey };
  const validity = { notBefore: now - BACKDATE, notAfter: now + ROOT_DAYS * DAY };
  const [rootKeyId, keyId] = [keyIdentifier(above.publicKey), keyIdentifier(signer.publicKey)];
  const root = signCertificate(
    {
      ...validity,
      subject: issuer.subject,
      publicKey: above.publicKey,
      extensions: caExtensions({ keyId: rootKeyId, below: 1, constraints }),
    },
    issuer,
  );
  const intermediate = signCertificate(
    {
      ...validity,
      subject: subjectOf(`${name}${SIGNER_SUFFIX}`),
      publicKey: signer.publicKey,
      extensions: caExtensions({ keyId, issuerKeyId: rootKeyId, below: 0, constraints }),
    },
    issuer,
  );
  return { ...readRoot(intermediate), key: signer.privateKey, above: [readRoot(root)] };
};

const commonName = (hostname: string, now: number): string => {
  const host =
    Array.from(hostname.replace(/[^\p{L}\p{N}._-]/gu, "-"))
      .slice(0, HOST_LENGTH)
      .join("") || "host";
  const day = new Date(now).toISOString().slice(0, 10).replaceAll("-", "");
  return `${OWN_PREFIX}${host} ${day} ${randomBytes(2).toString("hex")}`;
};

/** A CA certificate, without its key. Throws Error, whose message says what is wrong with it. */
export const readRoot = (certificate: X509Certificate): Root => {
  const { subject, extensions } = readCertificate(certificate);
  // node:crypto looks at both; a CA without keyUsage may sign.
  if (!certificate.ca)
    throw new Error(`"${nameOf(certificate)}" is no CA certificate (basicConstraints CA:TRUE, keyUsage keyCertSign)`);
  const keyId = extensions.get(OID.subjectKeyIdentifier);
  return {
    name: nameOf(certificate),
    certificate,
    key: undefined,
    from: 0,
    notBefore: certificate.validFromDate.getTime(),
    notAfter: certificate.validToDate.getTime(),
    constraints: decodeConstraints(extensions.get(OID.nameConstraints)),
    keyId: keyId ? asn1.content(asn1.decode(keyId)) : keyIdentifier(certificate.publicKey),
    subject,
    above: [],
  };
};

const nameOf = ({ subject, serialNumber }: X509Certificate): string =>
  /(?:^|\n)CN=(.*)/.exec(subject ?? "")?.[1] ?? subject?.replaceAll("\n", ", ") ?? serialNumber;

/** Whether Layover made it, and so may make a further one. */
export const isOwn = ({ name }: Root): boolean => name.startsWith(OWN_PREFIX);

/** Itself and all above it. */
export const chain = (root: Root): readonly Root[] => [root, ...root.above];

/** What clients have to trust for its leaves. */
export const anchorOf = (root: Root): Root => root.above.at(-1) ?? root;

/** Whether a leaf for this name is within its constraints, and within those of all above it. */
export const covers = (root: Root, name: string): boolean => chain(root).every(({ constraints }) => permits(constraints, name));

/** Whether no constraint at all binds it. */
export const isUnconstrained = (root: Root): boolean =>
  chain(root).every(({ constraints: { permitted, excluded } }) =>
    [permitted, excluded].every(({ names, ranges }) => names.length + ranges.length === 0),
  );

/** When its leaves stop being believed: its own end, or an earlier one above. */
export const endOf = (root: Root): number => Math.min(...chain(root).map(({ notAfter }) => notAfter));
/** When they start to be. */
export const startOf = (root: Root): number => Math.max(...chain(root).map(({ notBefore }) => notBefore));

/** Whether it can sign now. */
export const canIssue = (root: Root, now: number): root is SigningRoot =>
  root.key !== undefined && startOf(root) <= now && now < endOf(root);
