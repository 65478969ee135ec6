import { createPublicKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parsePublicKeys } from "../../src/lib/public-keys.ts";
import { fixedKeys, type TokenKeys } from "../../src/registry/token-keys.ts";
import { voucher } from "../../src/registry/vouch.ts";
import { mintLeaf } from "../../src/tls/leaf.ts";
import { makeRoot, type SigningRoot } from "../../src/tls/root.ts";
import { signCertificate, subjectOf } from "../../src/tls/x509.ts";
import {
  access,
  claimsAt,
  ecSigner,
  edSigner,
  ISSUER,
  jwks,
  macced,
  pemOf,
  rsaSigner,
  SERVICE,
  type Signer,
  signed,
  unsigned,
} from "./signer.ts";

const NOW = Date.UTC(2026, 10, 23, 12);
const ours = ecSigner();
const others = ecSigner();

const asking = (keys: TokenKeys) => {
  const state: { now: number; service: string | undefined } = { now: NOW, service: SERVICE };
  const asked = voucher({
    keys,
    audience: () => Promise.resolve(state.service),
    secret: Buffer.alloc(32, 7),
    clock: () => state.now,
  });
  let count = 0;
  return {
    state,
    asked,
    check: (token: string, scheme = "Bearer") => {
      count += 1;
      return asked.check(`${scheme} ${token}`, `${count} ${token.length}`);
    },
  };
};
const withKeys = (text: string) => asking(fixedKeys(parsePublicKeys(text)));
const plain = () => withKeys(jwks([ours, { kid: "ours" }]));
const header = { kid: "ours" };
const token = (changes: Record<string, unknown> = {}, by: Signer = ours) => signed(by, header, claimsAt(NOW, changes));

describe("a token that is right", () => {
  it("is vouched for: whose it is, what it may pull, and until when", async () => {
    const { check } = plain();
    const rights = [access("acme/app", "pull", "push"), access("acme/all", "*"), access("acme/none", "push", "delete")];
    const vouched = await check(token({ access: [...rights, { type: "registry", name: "catalog", actions: ["*"] }] }));
    expect(vouched).toMatchObject({ since: NOW, until: NOW + 300_000 });
    expect([...vouched!.pulls]).toEqual(["acme/app", "acme/all"]);
    expect((await check(token({ jti: "another" })))?.subject).toBe(vouched!.subject);
    for (const changes of [{ sub: "bob" }, { iss: `${ISSUER}/` }, { iss: "ann", sub: ISSUER }])
      expect((await check(token(changes)))?.subject).not.toBe(vouched!.subject);
  });

  it("may be for several audiences, and come under any spelling of its scheme", async () => {
    const { check } = plain();
    expect(await check(token({ aud: ["another", SERVICE] }), "bearer")).toBeDefined();
  });

  it("may be signed with any kind of key that is not too weak", async () => {
    for (const signer of [ecSigner(), rsaSigner(), edSigner()]) {
      expect(await withKeys(jwks([signer])).check(signed(signer, {}, claimsAt(NOW)))).toBeDefined();
      expect(await withKeys(pemOf(signer)).check(signed(signer, { kid: "a name of its own" }, claimsAt(NOW)))).toBeDefined();
    }
    expect(() => parsePublicKeys(jwks([rsaSigner(1024)]))).toThrow("found no key that can be used");
  });

  it("may call its key by thumbprint, or as libtrust does", async () => {
    // RFC 7638 §3.1 and its key
    const rfc = {
      kty: "RSA",
      n: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
      e: "AQAB",
    };
    const [key] = parsePublicKeys(JSON.stringify({ keys: [rfc] })).keys;
    expect(key!.ids).toContain("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    const ids = [...key!.ids].filter((id) => /^(?:[A-Z2-7]{4}:){11}[A-Z2-7]{4}$/.test(id));
    expect(ids).toHaveLength(1);
  });
});

describe("nobody vouches for a token that is", () => {
  const rows: Record<string, () => string> = {
    "signed by another": () => token({}, others),
    "changed after it was signed": () => {
      const [head, , signature] = token().split(".");
      const claims = Buffer.from(JSON.stringify(claimsAt(NOW, { sub: "bob" }))).toString("base64url");
      return `${head}.${claims}.${signature}`;
    },
    expired: () => token({ exp: NOW / 1_000 }),
    "without an end": () => token({ exp: undefined }),
    "ending in words": () => token({ exp: "tomorrow" }),
    "not yet valid": () => token({ nbf: NOW / 1_000 + 61 }),
    "made in the future": () => token({ iat: NOW / 1_000 + 61 }),
    "for another audience": () => token({ aud: "another.example" }),
    "for no audience": () => token({ aud: undefined }),
    "of alg none": () => unsigned(header, claimsAt(NOW)),
    "of alg none, with a signature": () => `${unsigned(header, claimsAt(NOW))}${token().split(".")[2]}`,
    "macced with the public key as PEM": () => macced(pemOf(ours), header, claimsAt(NOW)),
    "macced with the public key as DER": () =>
      macced(ours.publicKey.export({ type: "spki", format: "der" }), header, claimsAt(NOW)),
    "macced with the JWKS": () => macced(jwks([ours, { kid: "ours" }]), header, claimsAt(NOW)),
    "signed by the key that it brings": () => signed(others, { jwk: others.publicKey.export({ format: "jwk" }) }, claimsAt(NOW)),
    "signed by the key that it brings under our name": () =>
      signed(others, { ...header, jwk: { ...others.publicKey.export({ format: "jwk" }), kid: "ours" } }, claimsAt(NOW)),
    "signed by keys that are elsewhere": () =>
      signed(others, { jku: "https://evil.example/keys", x5u: "https://evil.example/x" }, claimsAt(NOW)),
    "with an extension that must be understood": () => signed(ours, { ...header, crit: ["x"], x: 1 }, claimsAt(NOW)),
    "with its payload as it is": () => signed(ours, { ...header, crit: ["b64"], b64: false }, claimsAt(NOW)),
    "of a key that was not meant for it": () => signed(rsaSigner(), header, claimsAt(NOW)),
    "no object": () => signed(ours, header, [claimsAt(NOW)]),
    "from an issuer that is no text": () => token({ iss: { toString: ISSUER } }),
    huge: () => token({ padding: "x".repeat(16 * 1024) }),
  };
  it.each(Object.entries(rows))("%s", async (_name, make) => expect(await plain().check(make())).toBeUndefined());

  it("for nobody knows which service", async () => {
    const { check, state } = plain();
    state.service = undefined;
    expect(await check(token())).toBeUndefined();
  });

  it("in any way other than it was signed", async () => {
    const { check } = plain();
    const right = token();
    const wrong = fc.oneof(
      fc
        .tuple(fc.nat(right.length - 1), fc.constantFrom("A", "Q", "g", "w", "-", "_", ".", "=", "0", " "))
        .map(([at, by]) => right.slice(0, at) + by + right.slice(at + 1)),
      fc.nat(right.length - 1).map((at) => right.slice(0, at)),
      fc.string({ unit: "binary" }),
      fc
        .tuple(fc.json(), fc.json(), fc.string())
        .map((parts) => parts.map((p) => Buffer.from(p).toString("base64url")).join(".")),
    );
    // the last letter of a signature has bits to spare: another spelling of the same bytes is the same token
    const same = (text: string) =>
      text.split(".").length === 3 &&
      text.startsWith(right.slice(0, right.lastIndexOf("."))) &&
      Buffer.from(text.split(".")[2]!, "base64url").equals(Buffer.from(right.split(".")[2]!, "base64url"));
    await fc.assert(
      fc.asyncProperty(wrong, async (text) => {
        fc.pre(!same(text));
        expect(await check(text)).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });
});

describe("what it may pull", () => {
  it.each([
    ["of another action", [access("acme/app", "push")]],
    ["of another kind", [{ type: "repository(plugin)", name: "acme/app", actions: ["pull"] }]],
    ["of another repository", [access("acme/app2", "pull"), access("acme", "pull"), access("acme/app/", "pull")]],
    ["of actions that are no list", [{ type: "repository", name: "acme/app", actions: "pull" }]],
    ["of nothing", []],
    ["of no list", { type: "repository", name: "acme/app", actions: ["pull"] }],
    ["left out", undefined],
  ])("is not this repository by an access %s", async (_name, list) => {
    const vouched = await plain().check(token({ access: list }));
    expect(vouched?.pulls.has("acme/app")).toBe(false);
  });
});

describe("time", () => {
  it("ends what was vouched for, and a clock that is set back brings back nothing from before it was made", async () => {
    const { asked, state } = plain();
    await asked.check(`Bearer ${token()}`, "one");
    expect(asked.peek("one")).toMatchObject({ from: NOW - 60_000, until: NOW + 300_000 });
    state.now = NOW + 300_000;
    expect(await asked.check(`Bearer ${token({ jti: "2" })}`, "two")).toBeUndefined();
    state.now = NOW - 61_000;
    expect(await asked.check(`Bearer ${token({ jti: "3" })}`, "three")).toBeUndefined();
  });

  it("may differ by a minute between the token server and us, but for the end", async () => {
    const { check, state } = plain();
    state.now = NOW - 59_000;
    expect(await check(token())).toBeDefined();
    state.now = NOW + 299_999;
    expect(await check(token())).toBeDefined();
  });

  it("brings the day of a token that is not valid yet", async () => {
    const { asked, state } = plain();
    const early = `Bearer ${token({ nbf: NOW / 1_000 + 70 })}`;
    expect(await asked.check(early, "early")).toBeUndefined();
    state.now += 31_000;
    expect(await asked.check(early, "early")).toBeDefined();
  });
});

describe("certificates that a token shows", () => {
  const root = makeRoot({ names: "all", now: NOW, hostname: "box" });
  const stranger = makeRoot({ names: "all", now: NOW, hostname: "elsewhere" });
  const leafOf = (issuer: SigningRoot) => {
    const { chain, key } = mintLeaf(issuer, ["tokens.example"], NOW);
    return { pem: chain, signer: { privateKey: key, publicKey: createPublicKey(key), algorithm: "ES256" } };
  };
  const leaf = leafOf(root);
  const der = (certificate: string | X509Certificate) => new X509Certificate(String(certificate)).raw.toString("base64");
  const shown = (signer: Signer, x5c: unknown) => signed(signer, { x5c }, claimsAt(NOW));

  it("lead to its key where one of ours is that certificate, or has signed it", async () => {
    expect(await withKeys(leaf.pem).check(shown(leaf.signer, [der(leaf.pem)]))).toBeDefined();
    expect(await withKeys(leaf.pem).check(signed(leaf.signer, {}, claimsAt(NOW)))).toBeDefined();
    const { check } = withKeys(root.certificate.toString());
    expect(await check(shown(leaf.signer, [der(leaf.pem)]))).toBeDefined();
    expect(await check(shown(leaf.signer, [der(leaf.pem), der(root.certificate)]))).toBeDefined();
    expect(await check(shown(leaf.signer, []))).toBeUndefined();
  });

  it("lead nowhere else", async () => {
    const { check } = withKeys(root.certificate.toString());
    const strange = leafOf(stranger);
    const [own, theirs, ours] = [der(strange.pem), der(stranger.certificate), der(root.certificate)];
    for (const x5c of [
      [own],
      [own, theirs],
      [own, theirs, ours],
      [ours, own],
      [ours],
      [der(leaf.pem)],
      ["AAAA"],
      [7],
      own,
      Array(100).fill(own),
    ])
      expect(await check(shown(strange.signer, x5c))).toBeUndefined();
  });

  it("lead nowhere from a leaf that signs, which is no authority", async () => {
    const below = leafOf({ ...root, key: leaf.signer.privateKey });
    const { check } = withKeys(leaf.pem);
    expect(await check(shown(below.signer, [der(below.pem), der(leaf.pem)]))).toBeUndefined();
    expect(
      await withKeys(root.certificate.toString()).check(shown(below.signer, [der(below.pem), der(leaf.pem)])),
    ).toBeUndefined();
  });

  it("lead nowhere from a certificate that does not say what it may do", async () => {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
    const subject = subjectOf("plain");
    const times = { notBefore: NOW - 1_000, notAfter: NOW + 1_000_000 };
    const plain = signCertificate({ subject, publicKey, ...times, extensions: [] }, { subject, key: privateKey });
    const below = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
    const last = signCertificate(
      { subject: subjectOf("below"), publicKey: below.publicKey, ...times, extensions: [] },
      { subject, key: privateKey },
    );
    const { check } = withKeys(plain.toString());
    expect(await check(shown({ privateKey, publicKey, algorithm: "ES256" }, [der(plain)]))).toBeDefined();
    expect(await check(shown({ ...below, algorithm: "ES256" }, [der(last), der(plain)]))).toBeUndefined();
  });

  it("lead nowhere once they are over", async () => {
    const { check, state } = withKeys(root.certificate.toString());
    state.now = NOW + 31 * 24 * 3_600_000;
    expect(await check(signed(leaf.signer, { x5c: [der(leaf.pem)] }, claimsAt(state.now)))).toBeUndefined();
  });
});
