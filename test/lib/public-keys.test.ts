import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parsePublicKeys } from "../../src/lib/public-keys.ts";

const pair = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
const PEM = pair.publicKey.export({ type: "spki", format: "pem" }) as string;
const JWK = pair.publicKey.export({ format: "jwk" });
const jwks = (...keys: unknown[]) => JSON.stringify({ keys });

describe("public keys", () => {
  it("are found among other things", () => {
    expect(parsePublicKeys(`the key\n${PEM}\nand another\n${PEM}`).keys).toHaveLength(2);
    const other = [{ kty: "oct", k: "AAAA" }, { kty: "new" }, { ...JWK, use: "enc" }, { ...JWK, key_ops: ["sign"] }, 7, null];
    const { keys } = parsePublicKeys(jwks(...other, { ...JWK, kid: "1", use: "sig", key_ops: ["verify"] }));
    expect(keys.map(({ algorithms, isNamed }) => ({ algorithms, isNamed }))).toEqual([{ algorithms: ["ES256"], isNamed: true }]);
  });

  it("verify no algorithm but their own", () => {
    expect(() => parsePublicKeys(jwks({ ...JWK, alg: "ES384" }))).toThrow("no key that can be used");
    expect(() => parsePublicKeys(jwks({ ...JWK, alg: "HS256" }))).toThrow("no key that can be used");
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "secp256k1" });
    expect(() => parsePublicKeys(publicKey.export({ type: "spki", format: "pem" }) as string)).toThrow("no key that can be used");
  });

  it("are nothing else, and what they are made of is in no message", () => {
    const secret = pair.privateKey.export({ type: "pkcs8", format: "pem" }) as string;
    expect(() => parsePublicKeys(`${PEM}${secret}`)).toThrow("holds a private key");
    expect(() => parsePublicKeys(jwks(pair.privateKey.export({ format: "jwk" })))).toThrow("holds a private key");
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc.json().map((json) => jwks(JSON.parse(json))),
      fc.nat(PEM.length).map((at) => PEM.slice(0, at)),
    );
    fc.assert(
      fc.property(text, (given) => {
        try {
          expect(parsePublicKeys(given).keys.length).toBeGreaterThan(0);
        } catch (error) {
          expect((error as Error).message).toMatch(/^expected /);
          if (given.length > 12) expect((error as Error).message).not.toContain(given);
        }
      }),
    );
  });
});
