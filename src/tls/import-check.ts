// What a chain from elsewhere has to be for every client to take leaves under it (RFC 5280 6.1, and what Go and OpenSSL ask beyond it).
import type { KeyObject, X509Certificate } from "node:crypto";
import * as asn1 from "./asn1.ts";
import { CaError } from "./ca-error.ts";
import { decodeConstraints } from "./constraints.ts";
import { OID, readCertificate } from "./x509.ts";

const ANY_USE = "2.5.29.37.0";
const CERTIFICATE_POLICIES = "2.5.29.32";
const CURVES = ["prime256v1", "secp384r1", "secp521r1"];
const MIN_RSA_BITS = 2048;
const WEAK = /md5|sha1(?!\d)/i;
/** The fewest days for which it is worth while. */
const MIN_LEFT_MS = 86_400_000;

/** The signing CA's certificate, its issuer, and so on to the root, each in order. Throws CaError. */
export const checkChain = (
  own: X509Certificate,
  all: readonly X509Certificate[],
  path: string,
  now: number,
): readonly X509Certificate[] => {
  const refuse = (problem: string, mend: string): never => {
    throw new CaError({ path, problem, mend });
  };
  const chain = climb(own, all);
  const top = chain.at(-1)!;
  if (!isSelfSigned(top)) {
    refuse(
      `${nameOf(top)} was issued by "${lineOf(top.issuer)}", which is not in the file`,
      "add what stands above it, up to the root: that is what clients must trust",
    );
  }
  for (const [below, certificate] of chain.entries()) {
    const problem = readable(() => problemOf(certificate, below, now));
    if (problem !== undefined) refuse(`${nameOf(certificate)} ${problem}`, "have the CA made anew without that");
  }
  return chain;
};

/** A field that cannot be read is one that clients stumble over. */
const readable = (look: () => string | undefined): string | undefined => {
  try {
    return look();
  } catch (error) {
    return `cannot be read: ${(error as Error).message}`;
  }
};

const climb = (own: X509Certificate, all: readonly X509Certificate[]): X509Certificate[] => {
  const chain = [own];
  for (let at = own; !isSelfSigned(at); ) {
    const issuer = all.find((other) => !chain.includes(other) && at.checkIssued(other) && at.verify(other.publicKey));
    if (issuer === undefined) break;
    chain.push(issuer);
    at = issuer;
  }
  return chain;
};

const isSelfSigned = (certificate: X509Certificate): boolean =>
  certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey);

/** `below`: how many CAs stand under it, down to the one that signs. */
const problemOf = (certificate: X509Certificate, below: number, now: number): string | undefined => {
  const { extensions, critical } = readCertificate(certificate);
  if (!certificate.ca) return "is no CA (basicConstraints CA:TRUE, keyUsage keyCertSign)";
  if (!extensions.has(OID.keyUsage)) return "has no keyUsage, which strict clients ask for";
  if (!extensions.has(OID.subjectKeyIdentifier)) return "has no subjectKeyIdentifier, which strict clients ask for";
  if (!isSelfSigned(certificate) && !extensions.has(OID.authorityKeyIdentifier))
    return "has no authorityKeyIdentifier, which strict clients ask for";
  const odd = [...critical].find((id) => !UNDERSTOOD.includes(id));
  if (odd !== undefined) return `has a critical extension that clients do not understand (${odd})`;
  const constraints = extensions.get(OID.nameConstraints);
  decodeConstraints(constraints);
  if (critical.has(OID.nameConstraints) && !constrainsNamesAlone(constraints!))
    return "has critical constraints on more than DNS names, addresses, mail and URIs, which Go does not understand";
  if (!/^(?!0+$)[0-9A-F]{1,40}$/.test(certificate.serialNumber))
    return "has a serial number that Go refuses: negative, 0 or of more than 20 octets";
  const limit = pathLength(extensions.get(OID.basicConstraints));
  if (limit !== undefined && limit < below) return `allows ${limit} CAs below it (pathlen), and there would be ${below}`;
  if (!servesServers(extensions.get(OID.extendedKeyUsage))) return "is not for TLS servers (extendedKeyUsage)";
  if (certificate.validFromDate.getTime() > now) return `is valid only from ${certificate.validFromDate.toISOString()}`;
  const end = certificate.validToDate;
  if (end.getTime() < now + MIN_LEFT_MS) return `ends on ${end.toISOString()}`;
  return keyProblem(certificate.publicKey) ?? signatureProblem(certificate);
};

/** What a Go of years ago, as in a Docker of today, takes where it is critical. */
const UNDERSTOOD: readonly string[] = [
  OID.keyUsage,
  OID.subjectAltName,
  OID.basicConstraints,
  OID.nameConstraints,
  OID.extendedKeyUsage,
  CERTIFICATE_POLICIES,
];

/** rfc822Name, dNSName, uniformResourceIdentifier, iPAddress (RFC 5280 4.2.1.6). */
const CONSTRAINED_KINDS = [1, 2, 6, 7];

const constrainsNamesAlone = (value: Buffer): boolean =>
  asn1
    .parts(asn1.decode(value))
    .flatMap(asn1.parts)
    .every((subtree) => CONSTRAINED_KINDS.some((kind) => asn1.contextual(asn1.parts(subtree).slice(0, 1), kind) !== undefined));

const pathLength = (value: Buffer | undefined): number | undefined => {
  const number = value && asn1.parts(asn1.decode(value))[1];
  if (number === undefined) return undefined;
  const digits = asn1.content(number).toString("hex");
  return digits.length > 8 ? Number.POSITIVE_INFINITY : Number.parseInt(digits, 16);
};

/** Go looks at this in the whole chain. */
const servesServers = (value: Buffer | undefined): boolean =>
  value === undefined ||
  asn1
    .parts(asn1.decode(value))
    .map(asn1.dotted)
    .some((use) => use === OID.serverAuth || use === ANY_USE);

const keyProblem = ({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string | undefined => {
  if (type === "ec")
    return CURVES.includes(details?.namedCurve ?? "")
      ? undefined
      : `has a key on the curve ${details?.namedCurve}, which clients refuse`;
  if (type !== "rsa") return `has a key of the type ${type}: RSA and EC are what every client takes`;
  const bits = details?.modulusLength ?? 0;
  return bits >= MIN_RSA_BITS ? undefined : `has an RSA key of ${bits} bits, which clients refuse`;
};

/** A root's own signature is nobody's concern. */
const signatureProblem = (certificate: X509Certificate): string | undefined => {
  if (isSelfSigned(certificate)) return undefined;
  const algorithm = certificate.signatureAlgorithm ?? "";
  return WEAK.test(algorithm) ? `is signed with ${algorithm}, which clients refuse` : undefined;
};

const lineOf = (name: string): string => name.replaceAll("\n", ", ");
const nameOf = ({ subject }: X509Certificate): string => `"${lineOf(subject)}"`;
