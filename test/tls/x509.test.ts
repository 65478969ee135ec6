import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { mintLeaf } from "../../src/tls/leaf.ts";
import { anchorOf, makeRoot } from "../../src/tls/root.ts";
import { caExtensions, keyIdentifier, signCertificate, subjectOf } from "../../src/tls/x509.ts";
import { DAY, openssl, scratch, verify } from "./scratch.ts";

const now = Date.now();
const root = makeRoot({ names: ["ghcr.io", "layover"], now, hostname: "box" });
const rootPem = String(anchorOf(root).certificate);
const textOf = (pem: string): string => {
  const file = join(scratch(), "c.pem");
  writeFileSync(file, pem);
  return openssl("x509", "-in", file, "-noout", "-text");
};

describe("a root", () => {
  it("has the profile that every verifier takes", () => {
    const text = textOf(rootPem);
    expect(text).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:1/);
    expect(text).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
    expect(text).toMatch(
      /Name Constraints: critical\s+Permitted:\s+DNS:ghcr\.io\s+DNS:layover\s+Excluded:\s+IP:0\.0\.0\.0\/0\.0\.0\.0\s+IP:0:0:0:0:0:0:0:0\//,
    );
    expect(text).toMatch(/Subject Key Identifier/);
    expect(text).toMatch(/ASN1 OID: prime256v1/);
    expect(anchorOf(root).name).toMatch(/^Layover CA box \d{8} [0-9a-f]{4}$/);
    expect(root.notBefore).toBe(Math.floor((now - DAY) / 1000) * 1000);
  });

  it("has a subject of its own each time, and a positive serial of 16 octets", () => {
    const roots = Array.from({ length: 20 }, () => makeRoot({ names: "all", now, hostname: "box" }));
    expect(new Set(roots.map(({ name }) => name)).size).toBeGreaterThan(18);
    for (const { certificate } of roots) expect(certificate.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
  });

  it("takes any host name of a machine, within 64 characters", () => {
    for (const hostname of ["büro–ñ", "a".repeat(300), "", "x\ny,CN=evil", "💥".repeat(60)]) {
      const made = makeRoot({ names: ["ghcr.io"], now, hostname });
      const leaf = mintLeaf(made, ["ghcr.io"], now);
      expect(verify(String(anchorOf(made).certificate), leaf.chain, "ghcr.io")).toMatch(/: OK$/);
      expect(made.certificate.subject).not.toContain("\n");
    }
  });

  it("lives on past 2049, where times are written another way", () => {
    const later = Date.UTC(2049, 5, 1);
    const made = makeRoot({ names: ["ghcr.io"], now: later, hostname: "box" });
    expect(made.certificate.validToDate.getUTCFullYear()).toBe(2054);
    expect(made.certificate.validFromDate.getTime()).toBe(later - DAY);
  });

  it("leaves constraints out when told so", () => {
    expect(textOf(String(anchorOf(makeRoot({ names: "all", now, hostname: "box" })).certificate))).not.toContain(
      "Name Constraints",
    );
  });
});

describe("a leaf", () => {
  const leaf = mintLeaf(root, ["ghcr.io"], now);
  const certificate = new X509Certificate(leaf.chain);

  it("has the profile that every verifier takes", () => {
    const text = textOf(leaf.chain);
    expect(text).toMatch(/Subject Alternative Name: critical\s+DNS:ghcr\.io\n/);
    expect(text).toMatch(/Extended Key Usage:\s+TLS Web Server Authentication\n/);
    expect(text).toMatch(/Key Usage: critical\s+Digital Signature\n/);
    expect(text).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
    const [ski, aki] = [textOf(String(root.certificate)), text].map((all) => /Key Identifier:\s+([0-9A-F:]{59})/.exec(all)?.[1]);
    expect(aki).toBe(ski);
    expect(certificate.checkIssued(root.certificate)).toBe(true);
    expect(certificate.publicKey.equals(root.certificate.publicKey)).toBe(false);
  });

  it("lives for thirty days, from yesterday, and never longer than its root", () => {
    expect(certificate.validToDate.getTime()).toBe(Math.floor((now + 30 * DAY) / 1000) * 1000);
    expect(certificate.validFromDate.getTime()).toBe(Math.floor((now - DAY) / 1000) * 1000);
    const late = mintLeaf(root, ["ghcr.io"], root.notAfter - DAY);
    expect(new X509Certificate(late.chain).validToDate.getTime()).toBe(root.notAfter);
  });

  it("passes openssl's strict check inside the constraints and fails outside", () => {
    expect(verify(rootPem, leaf.chain, "ghcr.io")).toMatch(/: OK$/);
    expect(verify(rootPem, mintLeaf(root, ["a.ghcr.io"], now).chain, "a.ghcr.io")).toMatch(/: OK$/);
    for (const outside of ["evil.example.com", "notghcr.io", "io"]) {
      expect(verify(rootPem, mintLeaf(root, [outside], now).chain)).toContain("permitted subtree violation");
    }
    for (const address of ["10.0.0.1", "::1"]) {
      expect(verify(rootPem, mintLeaf(root, [address], now).chain)).toContain("excluded subtree violation");
    }
  });

  it("holds addresses under a root without constraints", () => {
    const open = makeRoot({ names: "all", now, hostname: "box" });
    const both = mintLeaf(open, ["layover", "10.0.0.1", "2001:db8::1"], now);
    expect(verify(String(anchorOf(open).certificate), both.chain, "layover")).toMatch(/: OK$/);
    expect(new X509Certificate(both.chain).checkIP("10.0.0.1")).toBe("10.0.0.1");
    expect(new X509Certificate(both.chain).checkIP("2001:db8::1")).toBeDefined();
  });

  it("cannot be signed with a key that clients could not check", () => {
    const { publicKey, privateKey } = generateKeyPairSync("x25519");
    const draft = {
      subject: subjectOf("x"),
      publicKey,
      notBefore: now,
      notAfter: now + DAY,
      extensions: caExtensions({ keyId: keyIdentifier(publicKey), below: 0, constraints: undefined }),
    };
    expect(() => signCertificate(draft, { subject: subjectOf("x"), key: privateKey })).toThrow(TypeError);
  });
});
