// A token server's keys and what it signs with them, and what forgers make of either.
import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

export const SERVICE = "registry.example";
export const ISSUER = "tokens.example";

type Json = Readonly<Record<string, unknown>>;

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

export interface Signer {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly algorithm: string;
}

export const ecSigner = (): Signer => ({ ...generateKeyPairSync("ec", { namedCurve: "prime256v1" }), algorithm: "ES256" });
export const rsaSigner = (bits = 2048): Signer => ({
  ...generateKeyPairSync("rsa", { modulusLength: bits }),
  algorithm: "RS256",
});
export const edSigner = (): Signer => ({ ...generateKeyPairSync("ed25519"), algorithm: "EdDSA" });

/** Any header and any claims, rightly signed. */
export const signed = ({ privateKey: key, algorithm }: Signer, header: Json, claims: unknown): string => {
  const text = `${part({ typ: "JWT", alg: algorithm, ...header })}.${part(claims)}`;
  const signature =
    algorithm === "EdDSA"
      ? sign(null, Buffer.from(text), key)
      : sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
};

/** With a secret in place of a key. */
export const macced = (secret: string | Buffer, header: Json, claims: unknown): string => {
  const text = `${part({ typ: "JWT", alg: "HS256", ...header })}.${part(claims)}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
};

export const unsigned = (header: Json, claims: unknown): string =>
  `${part({ typ: "JWT", alg: "none", ...header })}.${part(claims)}.`;

export const access = (name: string, ...actions: string[]): Json => ({ type: "repository", name, actions });

/** Of a token that is right at `now`, ms; for 300 s. */
export const claimsAt = (now: number, changes: Json = {}): Json => {
  const seconds = Math.floor(now / 1_000);
  return {
    iss: ISSUER,
    aud: SERVICE,
    sub: "ann",
    iat: seconds,
    nbf: seconds - 5,
    exp: seconds + 300,
    access: [access("acme/app", "pull")],
    ...changes,
  };
};

export const jwks = (...entries: readonly (readonly [Signer, Json?])[]): string =>
  JSON.stringify({ keys: entries.map(([{ publicKey }, more]) => ({ ...publicKey.export({ format: "jwk" }), ...more })) });

export const pemOf = ({ publicKey }: Signer): string => publicKey.export({ type: "spki", format: "pem" }) as string;
