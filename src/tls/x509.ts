// Certificates: written and signed here (RFC 5280), checked by node:crypto and by every client. Private keys never leave node:crypto.
import { createHash, type KeyObject, randomBytes, sign, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import * as asn1 from "./asn1.ts";
import { encodeConstraints, type NameConstraints } from "./constraints.ts";
import { addressBytes } from "./host.ts";

export const OID = {
  commonName: "2.5.4.3",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
} as const;

interface Draft {
  readonly subject: asn1.Node;
  readonly publicKey: KeyObject;
  /** Milliseconds, as everywhere. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly extensions: readonly asn1.Node[];
}

interface Signer {
  /** The issuer's subject, as its own certificate holds it. */
  readonly subject: asn1.Node;
  readonly key: KeyObject;
}

/** Throws TypeError for a key of a kind that not every client could check. */
export const signCertificate = (draft: Draft, signer: Signer): X509Certificate => {
  const { hash, identifier } = signatureAlgorithm(signer.key);
  const tbs = asn1.sequence(
    asn1.tagged(0, [asn1.integer(Buffer.from([2]))]), // v3
    asn1.integer(randomSerial()),
    identifier(),
    signer.subject,
    asn1.sequence(asn1.time(draft.notBefore), asn1.time(draft.notAfter)),
    draft.subject,
    asn1.decode(draft.publicKey.export({ type: "spki", format: "der" })),
    asn1.tagged(3, [asn1.sequence(...draft.extensions)]),
  );
  const signature = sign(hash, asn1.encode(tbs), signer.key);
  return new X509Certificate(asn1.encode(asn1.sequence(tbs, identifier(), asn1.bits(signature))));
};

/** 16 octets, positive and not zero whatever they are (RFC 5280 4.1.2.2 allows up to 20; Go refuses negative ones). */
const randomSerial = (): Buffer => {
  const serial = randomBytes(16);
  serial[0] = 0x40 | (serial[0]! & 0x3f);
  return serial;
};

const ALGORITHMS = {
  ec: { hash: "sha256", identifier: () => asn1.sequence(asn1.oid("1.2.840.10045.4.3.2")) },
  rsa: { hash: "sha256", identifier: () => asn1.sequence(asn1.oid("1.2.840.113549.1.1.11"), asn1.nothing()) },
  ed25519: { hash: null, identifier: () => asn1.sequence(asn1.oid("1.3.101.112")) },
} as const;

const signatureAlgorithm = (key: KeyObject) => {
  if (canSign(key)) return ALGORITHMS[key.asymmetricKeyType];
  throw new TypeError(`cannot sign certificates with a key of the type ${key.asymmetricKeyType}`);
};

/** Whether `signCertificate` takes this key: EC, RSA or Ed25519. */
export const canSign = (key: KeyObject): key is KeyObject & { asymmetricKeyType: keyof typeof ALGORITHMS } =>
  key.asymmetricKeyType !== undefined && Object.hasOwn(ALGORITHMS, key.asymmetricKeyType);

/** A subject that is one common name, or none at all. */
export const subjectOf = (commonName?: string): asn1.Node =>
  commonName === undefined
    ? asn1.sequence()
    : asn1.sequence(asn1.set(asn1.sequence(asn1.oid(OID.commonName), asn1.text(commonName))));

/** RFC 7093 2 (1): the left 160 bits of the SHA-256 of the public key's bit string. */
export const keyIdentifier = (publicKey: KeyObject): Buffer => {
  const spki = asn1.decode(publicKey.export({ type: "spki", format: "der" }));
  const key = asn1.content(asn1.parts(spki)[1]).subarray(1);
  return createHash("sha256").update(key).digest().subarray(0, 20);
};

const extension = (id: string, critical: boolean, value: asn1.Node): asn1.Node =>
  asn1.sequence(asn1.oid(id), ...(critical ? [asn1.boolean(true)] : []), asn1.octets(asn1.encode(value)));

interface CaProfile {
  readonly keyId: Buffer;
  /** The issuer's own identifier, byte for byte; a root has none above it. */
  readonly issuerKeyId?: Buffer;
  /** How many CAs may stand below it. */
  readonly below: number;
  readonly constraints: NameConstraints | undefined;
}

export const caExtensions = ({ keyId, issuerKeyId, below, constraints }: CaProfile): asn1.Node[] => [
  extension(OID.basicConstraints, true, asn1.sequence(asn1.boolean(true), asn1.integer(Buffer.from([below])))),
  extension(OID.keyUsage, true, asn1.bits(Buffer.from([0x06]), 1)), // keyCertSign, cRLSign
  extension(OID.subjectKeyIdentifier, false, asn1.octets(keyId)),
  ...(issuerKeyId ? [authority(issuerKeyId)] : []),
  ...(constraints ? [extension(OID.nameConstraints, true, encodeConstraints(constraints))] : []),
];

const authority = (keyId: Buffer): asn1.Node =>
  extension(OID.authorityKeyIdentifier, false, asn1.sequence(asn1.tagged(0, keyId)));

/**
 * A server's leaf. It names no subject, so the alternative name is critical (4.2.1.6). `issuerKeyId` is the issuer's own identifier, byte for
 * byte: computed anew it might differ, and strict verifiers would refuse.
 */
export const leafExtensions = (issuerKeyId: Buffer, names: readonly string[]): asn1.Node[] => [
  extension(OID.basicConstraints, true, asn1.sequence()),
  extension(OID.keyUsage, true, asn1.bits(Buffer.from([0x80]), 7)), // digitalSignature
  extension(OID.extendedKeyUsage, false, asn1.sequence(asn1.oid(OID.serverAuth))),
  authority(issuerKeyId),
  extension(OID.subjectAltName, true, asn1.sequence(...names.map(generalName))),
];

const generalName = (name: string): asn1.Node =>
  isIP(name) === 0 ? asn1.tagged(2, Buffer.from(name, "latin1")) : asn1.tagged(7, addressBytes(name));

interface Contents {
  readonly subject: asn1.Node;
  /** Value by dotted identifier. */
  readonly extensions: ReadonlyMap<string, Buffer>;
  /** Of those that are marked so. */
  readonly critical: ReadonlySet<string>;
}

/** What node:crypto does not tell of a certificate. Throws Error for what cannot be read. */
export const readCertificate = ({ raw }: X509Certificate): Contents => {
  const fields = asn1.parts(asn1.parts(asn1.decode(raw))[0]);
  const version = asn1.contextual(fields, 0) === undefined ? 0 : 1;
  const subject = fields[version + 4];
  if (subject === undefined) throw new Error("the certificate has no subject");
  const list = asn1.parts(asn1.parts(asn1.contextual(fields, 3))[0]).map(asn1.parts);
  return {
    subject,
    extensions: new Map(list.map((fields) => [asn1.dotted(fields[0]), asn1.content(fields.at(-1))])),
    // the flag stands between them, and is left out where it is false
    critical: new Set(list.filter(({ length }) => length > 2).map((fields) => asn1.dotted(fields[0]))),
  };
};
