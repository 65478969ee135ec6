// A CA from elsewhere takes over, and every kind that clients would refuse later is refused at once.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openCa, readCa } from "../../src/tls/ca.ts";
import { CaError } from "../../src/tls/ca-error.ts";
import { importCa } from "../../src/tls/import.ts";
import { mintLeaf } from "../../src/tls/leaf.ts";
import type { CaOptions } from "../../src/tls/plan.ts";
import { retire, rotate, switchTo } from "../../src/tls/rotate.ts";
import { type Corporate, corporate, SIGNS } from "./corporate.ts";
import { caOptions, DAY, openssl, scratch, verify } from "./scratch.ts";

const made = async (): Promise<{ options: CaOptions; bundle: string; time: { ahead: number } }> => {
  const time = { ahead: 0 };
  const options = caOptions(scratch(), { names: ["ghcr.io", "layover"], clock: () => Date.now() + time.ahead });
  return { options, bundle: (await openCa(options)).bundle, time };
};
const bring = (options: CaOptions, { chain, key }: Pick<Corporate, "chain" | "key">, overlap = 0, passphrase?: string) =>
  importCa(options, { certificateFile: chain, keyFile: key, passphrase, overlap });
const leaf = (options: CaOptions): string => mintLeaf(readCa(options).issuerFor("ghcr.io")!, ["ghcr.io"], Date.now()).chain;
const isTaken = (pem: string, options: CaOptions): boolean => verify(pem, leaf(options), "ghcr.io").endsWith(": OK");

describe("a company's CA", () => {
  for (const [kind, keys] of [
    ["EC", undefined],
    ["RSA", ["-newkey", "rsa:2048"]],
  ] as const)
    it(`with an ${kind} key signs below its own root, which clients have`, async () => {
      const { options, bundle } = await made();
      const corp = corporate(scratch(), keys === undefined ? {} : { keys });
      const { root } = await bring(options, corp);
      expect([root.name, root.above.map(({ name }) => name)]).toEqual(["Corp issuing", ["Corp root"]]);
      expect(readCa(options).bundle.endsWith(corp.rootPem)).toBe(true);
      expect([isTaken(corp.rootPem, options), isTaken(bundle, options)]).toEqual([true, false]);
      expect(leaf(options).match(/BEGIN/g)).toHaveLength(2);
      expect((await openCa(options)).origin).toBe("found");
    });

  it("signs after the overlap, and Layover's own takes over again when told", async () => {
    const { options, bundle, time } = await made();
    const corp = corporate(scratch());
    await bring(options, corp, DAY);
    expect([isTaken(bundle, options), isTaken(corp.rootPem, options)]).toEqual([true, false]);
    time.ahead = DAY;
    expect([isTaken(bundle, options), isTaken(corp.rootPem, options)]).toEqual([false, true]);
    time.ahead += 1_000;
    await switchTo(options, readCa(options).fingerprints[0]!, 0);
    expect([isTaken(bundle, options), isTaken(corp.rootPem, options)]).toEqual([true, false]);
    expect((await retire(options)).map(({ name }) => name)).toEqual(["Corp issuing"]);
    expect(readCa(options).bundle).toBe(bundle);
    // and is Layover's to extend again
    expect((await openCa({ ...options, names: ["ghcr.io", "layover", "quay.io"] })).origin).toBe("extended");
  });

  it("is superseded by a new root of Layover's own", async () => {
    const { options, time } = await made();
    await bring(options, corporate(scratch()));
    time.ahead += 1_000;
    const { root } = await rotate(options, 0);
    expect(readCa(options).issuerFor("ghcr.io")?.name).toBe(root.name);
    expect((await retire(options)).length).toBe(2);
    expect(readFileSync(options.keyFile, "utf8").match(/BEGIN PRIVATE/g)).toHaveLength(1);
  });

  it("is restored with its root when ca.crt is lost", async () => {
    const { options } = await made();
    const corp = corporate(scratch());
    await bring(options, corp);
    const { bundle } = readCa(options);
    rmSync(options.certificateFile);
    expect([(await openCa(options)).origin, readCa(options).bundle]).toEqual(["restored", bundle]);
    expect(isTaken(corp.rootPem, options)).toBe(true);
  });

  it("may be a root that signs itself, bring its chain in any order, and an encrypted key with its passphrase", async () => {
    const { options, time } = await made();
    const folder = scratch();
    const corp = corporate(folder);
    writeFileSync(corp.chain, corp.rootPem + readFileSync(join(folder, "sub.pem"), "utf8"));
    openssl("pkcs8", "-topk8", "-in", corp.key, "-out", join(folder, "locked.key"), "-passout", "pass:tell nobody");
    const locked = { chain: corp.chain, key: join(folder, "locked.key") };
    await expect(bring(options, locked)).rejects.toThrow(/encrypted[\s\S]*LAYOVER_CA_PASSPHRASE/);
    await expect(bring(options, locked, 0, "guess")).rejects.toThrow(/does not open with this passphrase/);
    expect((await bring(options, locked, 0, "tell nobody")).root.name).toBe("Corp issuing");
    expect(readFileSync(options.keyFile, "utf8")).not.toContain("ENCRYPTED");
    time.ahead += 1_000;
    const itself = { chain: corp.root, key: join(folder, "root.key") };
    expect((await bring(options, itself)).root.name).toBe("Corp root");
    expect(leaf(options).match(/BEGIN/g)).toHaveLength(1);
    expect(isTaken(corp.rootPem, options)).toBe(true);
  });
});

describe("what is refused, with nothing changed", () => {
  const refused = async (corp: Pick<Corporate, "chain" | "key">): Promise<string> => {
    const { options, bundle } = await made();
    const key = readFileSync(options.keyFile, "utf8");
    const error = await bring(options, corp).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(CaError);
    expect([readFileSync(options.certificateFile, "utf8"), readFileSync(options.keyFile, "utf8")]).toEqual([bundle, key]);
    expect((error as CaError).mend.length).toBeGreaterThan(10);
    expect((error as CaError).message).not.toContain("-----");
    return (error as CaError).problem;
  };
  const of = (draft: Parameters<typeof corporate>[1]): Corporate => corporate(scratch(), draft);
  const usage = "keyUsage=critical,keyCertSign\n";

  it.each<[string, () => Pick<Corporate, "chain" | "key">, RegExp]>([
    ["a server's certificate", () => of({ extensions: "basicConstraints=critical,CA:FALSE\n" }), /is no CA/],
    [
      "one that may not sign",
      () => of({ extensions: "basicConstraints=critical,CA:TRUE\nkeyUsage=digitalSignature\n" }),
      /is no CA/,
    ],
    ["one without keyUsage", () => of({ extensions: "basicConstraints=critical,CA:TRUE\n" }), /has no keyUsage/],
    [
      "a root that allows nothing below it",
      () => of({ rootExtensions: ["basicConstraints=critical,CA:TRUE,pathlen:0", "keyUsage=critical,keyCertSign"] }),
      /Corp root" allows 0 CAs below it/,
    ],
    ["one that is not for servers", () => of({ extensions: `${SIGNS}extendedKeyUsage=clientAuth\n` }), /not for TLS servers/],
    [
      "one that leaves sites out",
      () => of({ extensions: `${SIGNS}nameConstraints=critical,permitted;DNS:corp.example,permitted;DNS:layover\n` }),
      /does not cover ghcr\.io \(it covers: corp\.example, layover\)/,
    ],
    ["one that ends today", () => of({ days: 0 }), /ends on/],
    ["a small RSA key", () => of({ keys: ["-newkey", "rsa:1024"] }), /RSA key of 1024 bits/],
    ["an odd curve", () => of({ keys: ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"] }), /curve secp256k1/],
    ["an Ed25519 key", () => of({ keys: ["-newkey", "ed25519"] }), /type ed25519/],
    ["a signature with SHA-1", () => of({ hash: "sha1" }), /is signed with ecdsa-with-SHA1/],
    ["a serial number below 0", () => of({ serial: "-5" }), /Corp issuing" has a serial number that Go refuses/],
    [
      "a critical extension that nobody knows",
      () => of({ extensions: `${SIGNS}1.2.3.4=critical,ASN1:NULL\n` }),
      /critical extension that clients do not understand \(1\.2\.3\.4\)/,
    ],
    [
      "constraints of a kind that Go does not know",
      () => of({ extensions: `${SIGNS}nameConstraints=critical,permitted;dirName:dir\n[dir]\nO=Corp\n` }),
      /critical constraints on more than DNS names/,
    ],
    ["another's key", () => ({ chain: of({}).chain, key: of({}).key }), /holds no certificate for the key/],
    ["files that are not there", () => ({ chain: "/nowhere/chain.pem", key: of({}).key }), /there is no such file/],
    ["a key in the certificate's place", () => ((corp) => ({ chain: corp.key, key: corp.key }))(of({})), /holds a private key/],
  ])("%s", async (_, draft, text) => expect(await refused(draft())).toMatch(text));

  it("a chain without its root, or with another root of that name", async () => {
    const folder = scratch();
    const corp = corporate(folder);
    const sub = readFileSync(join(folder, "sub.pem"), "utf8");
    writeFileSync(corp.chain, sub);
    expect(await refused(corp)).toMatch(/"CN=Corp issuing" was issued by "O=Größe GmbH, CN=Corp root", which is not in the file/);
    writeFileSync(corp.chain, sub + of({}).rootPem);
    expect(await refused(corp)).toMatch(/is not in the file/);
  });

  it("the same twice", async () => {
    const { options } = await made();
    const corp = of({ extensions: `basicConstraints=critical,CA:TRUE\n${usage}` });
    await bring(options, corp);
    await expect(bring(options, corp)).rejects.toThrow(/is among Layover's CAs already/);
  });
});
