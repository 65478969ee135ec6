// Public keys as people and servers hand them out: PEM blocks, or a JWKS (RFC 7517). Nothing secret is ever taken for one.
import { createHash, createPublicKey, type JsonWebKey, type KeyObject, X509Certificate } from "node:crypto";

export interface PublicKey {
  readonly key: KeyObject;
  /** What a signature's header may call it: its own name, its RFC 7638 thumbprint, its libtrust fingerprint. */
  readonly ids: ReadonlySet<string>;
  /** Whether it came with a name of its own. */
  readonly isNamed: boolean;
  /** JWS algorithms that it verifies; never a symmetric one, never none. */
  readonly algorithms: readonly string[];
}

export interface PublicKeys {
  /** Those of the certificates among them. */
  readonly keys: readonly PublicKey[];
  readonly certificates: readonly X509Certificate[];
}

const MAX_KEYS = 100;
const MIN_RSA_BITS = 2048;
const RSA = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const CURVES: Readonly<Record<string, readonly string[]>> = {
  prime256v1: ["ES256"],
  secp384r1: ["ES384"],
  secp521r1: ["ES512"],
};

/** Every algorithm that a key here may be used with. */
export const SIGNATURE_ALGORITHMS: readonly string[] = [...RSA, ...Object.values(CURVES).flat(), "EdDSA", "Ed25519"];

/** Throws Error with what is wrong, for people; nothing of the text is in it. */
export const parsePublicKeys = (text: string): PublicKeys => {
  const found = text.trimStart().startsWith("{") ? fromJwks(text) : fromPem(text);
  if (found.keys.length === 0)
    throw new Error("expected certificates or public keys in PEM form, or a JWKS, found no key that can be used");
  if (found.keys.length > MAX_KEYS) throw tooMany(found.keys.length);
  return found;
};

const tooMany = (count: number) => new Error(`expected at most ${MAX_KEYS} keys, found ${count}`);

const BLOCK = /-----BEGIN ([A-Z0-9 ]{1,40})-----[^-]+-----END \1-----/g;

const fromPem = (text: string): PublicKeys => {
  const blocks = [...text.matchAll(BLOCK)].map(([pem, label = ""]) => ({ pem, label }));
  if (blocks.some(({ label }) => label.endsWith("PRIVATE KEY")))
    throw new Error("holds a private key: only the public one is needed");
  const read = <T>(label: RegExp, parse: (pem: string) => T): T[] =>
    blocks
      .filter((block) => label.test(block.label))
      .map(({ pem }, i) => orWrong(() => parse(pem), `${i + 1} of them cannot be read`));
  const certificates = read(/^CERTIFICATE$/, (pem) => new X509Certificate(pem));
  const bare = read(/^(?:RSA )?PUBLIC KEY$/, (pem) => createPublicKey(pem));
  const keys = [...certificates.map(({ publicKey }) => publicKey), ...bare].flatMap((key) => usable(key, undefined, undefined));
  return { keys, certificates };
};

const orWrong = <T>(work: () => T, what: string): T => {
  try {
    return work();
  } catch {
    throw new Error(`expected certificates or public keys in PEM form, number ${what}`);
  }
};

const fromJwks = (text: string): PublicKeys => {
  const entries = entriesOf(text);
  if (entries.some((entry) => "d" in entry)) throw new Error("holds a private key: only the public one is needed");
  if (entries.length > MAX_KEYS) throw tooMany(entries.length);
  // a set may hold keys for other purposes and of kinds yet to come (RFC 7517 §5)
  const keys = entries.filter(verifies).flatMap(fromJwk);
  return { keys, certificates: [] };
};

const entriesOf = (text: string): Record<string, unknown>[] => {
  const set = parseJson(text);
  const entries = isObject(set) ? set["keys"] : undefined;
  if (!Array.isArray(entries)) throw new Error('expected a JWKS: an object with "keys"');
  return entries.filter(isObject);
};

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("expected a JWKS, found what is no JSON");
  }
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const verifies = ({ use, key_ops: operations }: Record<string, unknown>): boolean =>
  (use === undefined || use === "sig") &&
  (operations === undefined || (Array.isArray(operations) && operations.includes("verify")));

const fromJwk = (jwk: Record<string, unknown>): PublicKey[] => {
  const { kid, alg } = jwk;
  try {
    const key = createPublicKey({ key: jwk as JsonWebKey, format: "jwk" });
    return usable(key, typeof kid === "string" ? kid : undefined, typeof alg === "string" ? alg : undefined);
  } catch {
    return [];
  }
};

const usable = (key: KeyObject, name: string | undefined, only: string | undefined): PublicKey[] => {
  const algorithms = algorithmsOf(key).filter((algorithm) => only === undefined || algorithm === only);
  if (algorithms.length === 0) return [];
  const ids = new Set([thumbprintOf(key), libtrustIdOf(key), ...(name === undefined ? [] : [name])]);
  return [{ key, ids, isNamed: name !== undefined, algorithms }];
};

/** Empty for a key that is too weak, or not for signatures. */
export const algorithmsOf = ({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): readonly string[] => {
  const { modulusLength = 0, namedCurve = "" } = asymmetricKeyDetails ?? {};
  if (asymmetricKeyType === "rsa") return modulusLength >= MIN_RSA_BITS ? RSA : [];
  if (asymmetricKeyType === "ec") return CURVES[namedCurve] ?? [];
  return asymmetricKeyType === "ed25519" ? ["EdDSA", "Ed25519"] : [];
};

/** RFC 7638 §3: the members that a key cannot do without, in the order of their names. */
const thumbprintOf = (key: KeyObject): string => {
  const { crv, e, kty, n, x, y } = key.export({ format: "jwk" });
  return createHash("sha256").update(JSON.stringify({ crv, e, kty, n, x, y })).digest("base64url");
};

const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** How the registries of old, and GitLab's, name a key: 240 bits of a hash, twelve groups of four letters. */
const libtrustIdOf = (key: KeyObject): string => {
  const hash = createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest()
    .subarray(0, 30);
  const bits = [...hash].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  const letters = bits.match(/.{5}/g)!.map((five) => BASE32[Number.parseInt(five, 2)]!);
  return letters.join("").match(/.{4}/g)!.join(":");
};
