import { X509Certificate } from "node:crypto";
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { openCa } from "../../src/tls/ca.ts";
import { CaError } from "../../src/tls/ca-error.ts";
import { mintLeaf } from "../../src/tls/leaf.ts";
import type { CaOptions } from "../../src/tls/plan.ts";
import { caOptions, DAY, openssl, scratch, verify } from "./scratch.ts";

const fresh = (more: Partial<CaOptions> = {}) => caOptions(scratch(), more);
const read = (path: string): string => fs.readFileSync(path, "utf8");
const mode = (path: string): string => (fs.statSync(path).mode & 0o777).toString(8);
const keyBlocks = (text: string): string[] => text.match(/-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----\n/g) ?? [];
/** Keys with what follows each. */
const entries = (text: string): string[] => text.split(/(?=-----BEGIN PRIVATE)/);
const leafFor = (ca: Awaited<ReturnType<typeof openCa>>, name: string): string =>
  mintLeaf(ca.issuerFor(name)!, [name], Date.now()).chain;

describe("the first start", () => {
  it("makes both files, for their readers only, whatever the umask is", async () => {
    const options = fresh();
    const before = process.umask(0o027);
    const ca = await openCa(options).finally(() => process.umask(before));
    expect(ca.origin).toBe("made");
    expect([mode(dirname(options.keyFile)), mode(options.keyFile), mode(options.certificateFile)]).toEqual(["700", "600", "644"]);
    expect(read(options.certificateFile)).toBe(ca.bundle);
    expect(read(options.certificateFile)).not.toContain("KEY");
    expect(ca.fingerprints).toEqual([new X509Certificate(ca.bundle).fingerprint256]);
    expect(openssl("x509", "-in", options.certificateFile, "-noout", "-fingerprint", "-sha256")).toContain(ca.fingerprints[0]);
    expect(openssl("pkey", "-in", options.keyFile, "-noout", "-text")).toContain("prime256v1");
    expect(fs.readdirSync(dirname(options.keyFile)).sort()).toEqual(["ca.key", "ca.key.lock"]);
    expect(fs.readdirSync(dirname(options.certificateFile))).toEqual(["ca.crt"]);
  });

  it("covers the names, and the names to come with what is below them", async () => {
    const ca = await openCa(fresh({ constraints: ["corp.example"] }));
    for (const name of ["ghcr.io", "GHCR.io.", "layover", "corp.example", "a.b.corp.example"])
      expect(ca.issuerFor(name)).toBeDefined();
    for (const name of ["evil.example.com", "notghcr.io", "127.0.0.1"]) expect(ca.issuerFor(name)).toBeUndefined();
  });

  it("covers anything with constraints: none, addresses too", async () => {
    const ca = await openCa(fresh({ constraints: "none", names: ["ghcr.io", "10.0.0.1"] }));
    for (const name of ["evil.example.com", "10.0.0.1", "::1"]) expect(ca.issuerFor(name)).toBeDefined();
  });

  it("is the only one: the second start finds the same, and writes nothing", async () => {
    const options = fresh();
    const first = await openCa(options);
    const before = [options.keyFile, options.certificateFile].map((file) => fs.statSync(file).ino);
    const second = await openCa(options);
    expect([second.origin, second.bundle]).toEqual(["found", first.bundle]);
    expect([options.keyFile, options.certificateFile].map((file) => fs.statSync(file).ino)).toEqual(before);
  });

  it("finds one CA with many at once", async () => {
    const options = fresh();
    const cas = await Promise.all(Array.from({ length: 8 }, () => openCa(options)));
    expect(new Set(cas.map(({ bundle }) => bundle)).size).toBe(1);
    expect(cas.filter(({ origin }) => origin === "made")).toHaveLength(1);
  });

  it("needs a clock that has heard the time", async () => {
    await expect(openCa(fresh({ clock: () => 0 }))).rejects.toThrow(/clock says 1970/);
  });

  it("never makes a root that permits all because there is no name to permit", async () => {
    const options = fresh({ names: [] });
    await expect(openCa(options)).rejects.toThrow(RangeError);
    expect(fs.existsSync(options.keyFile)).toBe(false);
  });

  it("never shows a key when it is printed", async () => {
    const { inspect } = await import("node:util");
    const ca = await openCa(fresh());
    expect(inspect(ca, { depth: 9, showHidden: true }) + JSON.stringify(ca)).not.toContain("PRIVATE");
  });
});

describe("a site added later", () => {
  it("gets a further root; what was there stays, and serves old sites to clients with the old file", async () => {
    const options = fresh({ names: ["ghcr.io", "layover"] });
    const old = await openCa(options);
    const grown = await openCa({ ...options, names: [...options.names, "quay.io"], constraints: ["corp.example"] });
    expect([grown.origin, grown.roots.length, grown.bundle.startsWith(old.bundle)]).toEqual(["extended", 2, true]);
    expect(grown.fingerprints[0]).toBe(old.fingerprints[0]);
    for (const name of ["ghcr.io", "layover"]) {
      expect(verify(old.bundle, leafFor(grown, name), name)).toMatch(/: OK$/);
      expect(verify(grown.bundle, leafFor(grown, name), name)).toMatch(/: OK$/);
    }
    for (const name of ["quay.io", "corp.example", "a.corp.example"]) {
      expect(verify(grown.bundle, leafFor(grown, name), name)).toMatch(/: OK$/);
      expect(verify(old.bundle, leafFor(grown, name), name)).toContain("verification failed");
    }
    expect(verify(grown.bundle, mintLeaf(grown.issuerFor("quay.io")!, ["ghcr.io"], Date.now()).chain)).toContain(
      "permitted subtree violation",
    );
    expect((await openCa({ ...options, names: ["quay.io"] })).origin).toBe("found");
    expect([mode(options.keyFile), mode(options.certificateFile)]).toEqual(["600", "644"]);
  });

  it("needs none where the names to come cover it", async () => {
    const options = fresh({ constraints: ["corp.example"] });
    await openCa(options);
    expect((await openCa({ ...options, names: [...options.names, "images.corp.example"] })).origin).toBe("found");
  });

  it("gets a root that covers anything with constraints: none", async () => {
    const options = fresh();
    await openCa(options);
    const ca = await openCa({ ...options, names: [...options.names, "quay.io"], constraints: "none" });
    expect([ca.origin, ca.issuerFor("anything.example")?.name === ca.roots[1]?.name]).toEqual(["extended", true]);
  });

  it("keeps what people wrote into the files, in any order of keys", async () => {
    const options = fresh({ names: ["ghcr.io"] });
    await openCa(options);
    await openCa({ ...options, names: ["ghcr.io", "quay.io"] });
    const keys = entries(read(options.keyFile)).reverse();
    fs.writeFileSync(options.keyFile, `# rotated\n${keys.join("# next\n").trimEnd()}`);
    fs.writeFileSync(options.certificateFile, `# ours\r\n${read(options.certificateFile).replaceAll("\n", "\r\n").trimEnd()}`);
    const ca = await openCa({ ...options, names: ["ghcr.io", "quay.io", "gcr.io"] });
    expect([ca.origin, ca.roots.length, ca.roots.every(({ key }) => key !== undefined)]).toEqual(["extended", 3, true]);
    expect([read(options.keyFile).startsWith("# rotated\n"), read(options.certificateFile).startsWith("# ours\r\n")]).toEqual([
      true,
      true,
    ]);
    expect((await openCa({ ...options, names: ["ghcr.io", "quay.io", "gcr.io"] })).origin).toBe("found");
  });
});

describe("a crash", () => {
  it("between the files of the first start leaves a key, from which the certificate is made again bit for bit", async () => {
    const options = fresh();
    const ca = await openCa(options);
    fs.rmSync(options.certificateFile);
    const again = await openCa(options);
    expect([again.origin, again.bundle, read(options.certificateFile)]).toEqual(["restored", ca.bundle, ca.bundle]);
  });

  it("while a file is written leaves a part beside it, which is cleared away", async () => {
    const options = fresh();
    for (const path of [options.keyFile, options.certificateFile]) {
      fs.mkdirSync(dirname(path), { recursive: true });
      fs.writeFileSync(`${path}.new`, "-----BEGIN PRIV");
    }
    expect((await openCa(options)).origin).toBe("made");
    expect(fs.existsSync(`${options.keyFile}.new`) || fs.existsSync(`${options.certificateFile}.new`)).toBe(false);
    expect(mode(options.keyFile)).toBe("600");
  });

  it("between the files of a further root leaves a key without a certificate, which does no harm", async () => {
    const options = fresh({ names: ["ghcr.io"] });
    const old = await openCa(options);
    await openCa({ ...options, names: ["ghcr.io", "quay.io"] });
    fs.writeFileSync(options.certificateFile, old.bundle);
    expect((await openCa(options)).roots).toHaveLength(1);
    const ca = await openCa({ ...options, names: ["ghcr.io", "quay.io"] });
    expect([ca.origin, ca.roots.length, ca.fingerprints[0]]).toEqual(["extended", 2, old.fingerprints[0]]);
    expect(verify(ca.bundle, leafFor(ca, "quay.io"), "quay.io")).toMatch(/: OK$/);
  });

  it("with a lost ca.crt after a further root restores both", async () => {
    const options = fresh({ names: ["ghcr.io"] });
    await openCa(options);
    const grown = await openCa({ ...options, names: ["ghcr.io", "quay.io"] });
    fs.rmSync(options.certificateFile);
    expect((await openCa(options)).bundle).toBe(grown.bundle);
    fs.rmSync(options.certificateFile);
    const further = await openCa({ ...options, names: ["ghcr.io", "quay.io", "gcr.io"] });
    expect([further.roots.length, further.bundle.startsWith(grown.bundle)]).toEqual([3, true]);
  });
});

describe("bad input", () => {
  const refused = async (options: CaOptions): Promise<CaError> => {
    const files = [options.keyFile, options.certificateFile].filter((file) => fs.existsSync(file) && fs.statSync(file).isFile());
    const before = files.map(read);
    const error = await openCa(options).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(error).toBeInstanceOf(CaError);
    expect(files.map(read)).toEqual(before);
    const { message, mend } = error as CaError;
    expect([mend.length > 10, message.includes((error as CaError).problem)]).toEqual([true, true]);
    expect(message).not.toContain("-----");
    return error as CaError;
  };
  const made = async (more: Partial<CaOptions> = {}): Promise<CaOptions> => {
    const options = fresh(more);
    await openCa(options);
    return options;
  };

  it("a key that others may read or write", async () => {
    for (const wrong of [0o640, 0o604, 0o620, 0o601]) {
      const options = await made();
      fs.chmodSync(options.keyFile, wrong);
      const { path, problem, mend } = await refused(options);
      expect([path, mend.startsWith("chmod 600")]).toEqual([options.keyFile, true]);
      expect(problem).toContain(`mode 0${wrong.toString(8)}`);
    }
  });

  it("a key that is missing", async () => {
    const options = await made();
    fs.rmSync(options.keyFile);
    expect(await refused(options)).toMatchObject({ path: options.keyFile, problem: expect.stringContaining("is missing") });
    expect(fs.existsSync(options.keyFile)).toBe(false);
  });

  it("a certificate that is missing, and cannot be made again", async () => {
    const options = await made();
    fs.writeFileSync(options.keyFile, keyBlocks(read(options.keyFile)).join(""));
    fs.rmSync(options.certificateFile);
    const error = await refused(options);
    expect([error.path, error.mend.includes("another one")]).toEqual([options.certificateFile, true]);
    expect(fs.existsSync(options.certificateFile)).toBe(false);
  });

  it("a key of another CA", async () => {
    const [options, other] = [await made(), await made()];
    fs.copyFileSync(other.keyFile, options.keyFile);
    expect((await refused(options)).problem).toContain("does not match");
  });

  it("a key lost among several, for a site that needs it; others go on", async () => {
    const options = await made({ names: ["ghcr.io"] });
    await openCa({ ...options, names: ["ghcr.io", "quay.io"] });
    fs.writeFileSync(options.keyFile, entries(read(options.keyFile))[0]!);
    const error = await refused({ ...options, names: ["ghcr.io", "quay.io"] });
    expect([error.path, error.problem.includes("covers quay.io")]).toEqual([options.keyFile, true]);
    expect((await openCa(options)).origin).toBe("found");
  });

  it("files that hold something else", async () => {
    const junk = [
      "",
      "hello",
      "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
      "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ];
    for (const text of [...junk, "\0".repeat(300_000)]) {
      for (const which of ["keyFile", "certificateFile"] as const) {
        const options = await made();
        fs.writeFileSync(options[which], text);
        expect((await refused(options)).path).toBe(options[which]);
      }
    }
  });

  it("a private key in the public file", async () => {
    const options = await made();
    fs.appendFileSync(options.certificateFile, read(options.keyFile));
    expect((await refused(options)).problem).toContain("private key");
  });

  it("one file for both", async () => {
    const options = fresh();
    expect((await refused({ ...options, certificateFile: options.keyFile })).problem).toContain("both");
  });

  it("directories and devices for files", async () => {
    const options = await made();
    expect((await refused({ ...options, certificateFile: dirname(options.keyFile) })).problem).toBe("is not a file");
    expect((await refused({ ...options, keyFile: "/dev/null" })).problem).toBe("is not a file");
    fs.rmSync(options.keyFile);
    openssl("version");
    (await import("node:child_process")).execFileSync("mkfifo", ["-m", "600", options.keyFile]);
    expect((await refused(options)).problem).toBe("is not a file");
  });

  it("an expired CA, and a clock before it began", async () => {
    const options = await made();
    const { notAfter } = await openCa(options);
    expect((await refused({ ...options, clock: () => notAfter + 1 })).problem).toMatch(
      /covers ghcr\.io, expired on \d{4}-\d\d-\d\d/,
    );
    expect((await openCa({ ...options, clock: () => notAfter - DAY })).origin).toBe("found");
    const early = await refused({ ...options, clock: () => Date.now() - 3 * DAY });
    expect([early.problem.includes("not valid before"), early.mend.includes("clock")]).toEqual([true, true]);
  });

  it("names that no certificate can have", async () => {
    for (const name of ["a.*.ghcr.io", "*", "*x.ghcr.io", "", "a b", "ghcr.io:443", "10.0.0.1"]) {
      expect((await refused(fresh({ names: [name] }))).problem).toContain(JSON.stringify(name));
    }
  });

  it("places that cannot be read or written", async () => {
    const options = fresh();
    const blocked = join(scratch(), "file");
    fs.writeFileSync(blocked, "");
    expect((await refused({ ...options, keyFile: join(blocked, "keys/ca.key") })).problem).toContain("cannot be read");
    // Not even root can write where a link leads nowhere.
    for (const file of [options.keyFile, options.certificateFile]) {
      fs.rmSync(dirname(file), { recursive: true, force: true });
      fs.symlinkSync("/nowhere/at-all", dirname(file));
      const { problem, mend } = await refused(options);
      expect([problem.includes("cannot be written"), mend.includes("name another place")]).toEqual([true, true]);
      fs.rmSync(dirname(file));
    }
    // The key was made before the certificate could not be: nothing is lost.
    expect(await openCa(options)).toMatchObject({ origin: "restored" });
  });
});

describe("a user's own CA", () => {
  const own = (more: string[] = [], newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"]): CaOptions => {
    const options = fresh({ names: ["ghcr.io", "quay.io"], constraints: ["corp.example"] });
    for (const path of [options.keyFile, options.certificateFile]) fs.mkdirSync(dirname(path));
    const usage = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"];
    const files = ["-keyout", options.keyFile, "-out", options.certificateFile];
    openssl(
      "req",
      "-x509",
      ...newKey,
      "-nodes",
      "-subj",
      "/C=DE/O=Größe GmbH/CN=Corp CA",
      "-utf8",
      "-days",
      "30",
      ...files,
      ...(more.length > 0 ? more : usage),
    );
    fs.chmodSync(options.keyFile, 0o600);
    return options;
  };

  for (const [kind, newKey] of [
    ["P-384", undefined],
    ["RSA", ["-newkey", "rsa:2048"]],
    ["Ed25519", ["-newkey", "ed25519"]],
  ] as const) {
    it(`signs with a ${kind} key, for no longer than it lives, and is left as it is`, async () => {
      const options = own([], newKey && [...newKey]);
      const before = [options.keyFile, options.certificateFile].map(read);
      const ca = await openCa(options);
      expect([ca.origin, ca.issuerFor("ghcr.io")?.name]).toEqual(["found", "Corp CA"]);
      expect(verify(ca.bundle, leafFor(ca, "ghcr.io"), "ghcr.io")).toMatch(/: OK$/);
      expect(new X509Certificate(leafFor(ca, "ghcr.io")).validToDate.getTime()).toBeLessThanOrEqual(ca.notAfter);
      expect([options.keyFile, options.certificateFile].map(read)).toEqual(before);
      expect(fs.readdirSync(dirname(options.keyFile))).toEqual(["ca.key"]);
    });
  }

  const ca = ["-addext", "basicConstraints=critical,CA:TRUE"];
  it("is refused when it does not cover a site, and is not added to", async () => {
    for (const constraints of ["permitted;DNS:ghcr.io", "permitted;DNS:.quay.io,permitted;DNS:ghcr.io", "excluded;DNS:io"]) {
      const options = own([...ca, "-addext", `nameConstraints=critical,${constraints}`]);
      await expect(openCa(options)).rejects.toThrow(/"Corp CA" does not cover .*quay\.io/);
      expect(read(options.certificateFile).match(/BEGIN/g)).toHaveLength(1);
    }
  });

  it("need not cover names to come", async () => {
    const options = own([...ca, "-addext", "nameConstraints=critical,permitted;DNS:ghcr.io,permitted;DNS:quay.io"]);
    expect((await openCa(options)).origin).toBe("found");
  });

  it("is refused when it is no CA, or may not sign", async () => {
    await expect(openCa(own(["-addext", "basicConstraints=critical,CA:FALSE"]))).rejects.toThrow(/no CA certificate/);
    await expect(openCa(own([...ca, "-addext", "keyUsage=critical,digitalSignature"]))).rejects.toThrow(/no CA certificate/);
  });

  it("is refused with an encrypted key, in either of its forms", async () => {
    const forms = [
      ["pkcs8", "-topk8"],
      ["ec", "-aes128"],
    ] as const;
    for (const [command, how] of forms) {
      const options = own();
      const plain = `${options.keyFile}.plain`;
      fs.renameSync(options.keyFile, plain);
      openssl(command, how, "-in", plain, "-out", options.keyFile, "-passout", "pass:x");
      fs.chmodSync(options.keyFile, 0o600);
      await expect(openCa(options)).rejects.toThrow(/encrypted/);
    }
  });

  it("may be an intermediate with its root beside it: the leaf brings it along", async () => {
    const options = own();
    const directory = dirname(options.keyFile);
    const [key, request, extensions] = ["sub.key", "sub.csr", "sub.ext"].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    fs.writeFileSync(
      extensions,
      "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n",
    );
    openssl(
      "req",
      "-new",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-subj",
      "/CN=Corp sub",
      "-keyout",
      key,
      "-out",
      request,
    );
    const root = read(options.certificateFile);
    const sub = openssl(
      "x509",
      "-req",
      "-in",
      request,
      "-CA",
      options.certificateFile,
      "-CAkey",
      options.keyFile,
      "-CAcreateserial",
      "-days",
      "20",
      "-extfile",
      extensions,
    );
    fs.writeFileSync(options.certificateFile, root + sub);
    fs.writeFileSync(options.keyFile, read(key));
    const opened = await openCa(options);
    expect([opened.issuerFor("ghcr.io")?.name, opened.fingerprints.length]).toEqual(["Corp sub", 2]);
    expect(leafFor(opened, "ghcr.io").match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(verify(root, leafFor(opened, "ghcr.io"), "ghcr.io")).toMatch(/: OK$/);
  });
});
