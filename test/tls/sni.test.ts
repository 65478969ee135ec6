import { connect as connectTcp } from "node:net";
import { connect } from "node:tls";
import { describe, expect, it } from "vitest";
import { silent } from "../../src/lib/log.ts";
import { openCa } from "../../src/tls/ca.ts";
import { mintLeaf } from "../../src/tls/leaf.ts";
import { contextOf } from "../../src/tls/leaves.ts";
import { secureContexts } from "../../src/tls/sni.ts";
import { caOptions, DAY, listen, openScratch, recorder, sClient, scratch, shake } from "./scratch.ts";

const SITES = new Set(["ghcr.io", "registry.gitlab.com"]);
const base = { allowed: (name: string) => SITES.has(name), ownName: "layover", clock: Date.now, log: silent };

const front = async (more: Partial<Parameters<typeof secureContexts>[1]> = {}) => {
  const ca = await openScratch();
  const contexts = secureContexts(ca, { ...base, ...more });
  return { ca: ca.bundle, port: await listen(contexts.options, contexts.follow) };
};

describe("the TLS front end", () => {
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    it(`shows each site a leaf of its own over ${version}`, async () => {
      const { ca, port } = await front();
      for (const servername of SITES) {
        const { certificate, protocol } = await shake(port, { ca, servername, minVersion: version, maxVersion: version });
        expect([certificate.subjectaltname, protocol]).toEqual([`DNS:${servername}`, version]);
      }
    });

    it(`refuses a name that is no site with the alert unrecognized_name over ${version}`, async () => {
      const { port, ca } = await front();
      const asked = shake(port, {
        ca,
        servername: "evil.example.com",
        minVersion: version,
        maxVersion: version,
        rejectUnauthorized: false,
      });
      await expect(asked).rejects.toMatchObject({ code: "ERR_SSL_TLSV1_UNRECOGNIZED_NAME" });
      await expect(shake(port, { ca, servername: "ghcr.io" })).resolves.toBeDefined();
    });
  }

  it("takes names in any case and with a trailing dot, and mints once for all", async () => {
    const { log, lines } = recorder();
    const { ca, port } = await front({ log });
    const names = ["GHCR.io", "ghcr.io.", "ghcr.io", "Ghcr.IO."];
    const seen = await Promise.all(
      [...names, ...names].map((servername) => shake(port, { ca, servername, checkServerIdentity: () => undefined })),
    );
    expect(new Set(seen.map(({ certificate }) => certificate.serialNumber)).size).toBe(1);
    expect(lines.filter(({ host }) => host === "ghcr.io")).toHaveLength(1);
  });

  it("logs each leaf with serial, host and end, and nothing of its key", async () => {
    const { log, lines } = recorder();
    const { ca, port } = await front({ log });
    const { certificate } = await shake(port, { ca, servername: "ghcr.io" });
    expect(lines.map(({ host, msg }) => [host, msg])).toEqual([
      ["layover", "leaf minted"],
      ["ghcr.io", "leaf minted"],
    ]);
    expect(lines[1]).toMatchObject({ serial: certificate.serialNumber, issuer: expect.stringMatching(/^Layover CA /) });
    expect(Date.parse(String(lines[1]?.["notAfter"])) - Date.now()).toBeGreaterThan(29 * DAY);
    expect(JSON.stringify(lines)).not.toMatch(/PRIVATE|BEGIN/);
  });

  it("shows its own name to clients that name no host", async () => {
    const { ca, port } = await front();
    const { certificate } = await shake(port, { ca, servername: "", checkServerIdentity: () => undefined });
    expect(certificate.subjectaltname).toBe("DNS:layover");
  });

  it("adds its addresses where the root has no constraints, and only there", async () => {
    for (const [constraints, expected] of [
      ["none", "DNS:layover, IP Address:127.0.0.1"],
      [[], "DNS:layover"],
    ] as const) {
      const ca = await openScratch({ constraints });
      const port = await listen(secureContexts(ca, { ...base, ownAddresses: ["127.0.0.1"] }).options);
      const { certificate } = await shake(port, { ca: ca.bundle, checkServerIdentity: () => undefined });
      expect(certificate.subjectaltname).toBe(expected);
    }
  });

  it("speaks nothing below TLS 1.2", async () => {
    const { ca, port } = await front();
    const old = shake(port, {
      ca,
      servername: "ghcr.io",
      minVersion: "TLSv1",
      maxVersion: "TLSv1.1",
      ciphers: "DEFAULT@SECLEVEL=0",
    });
    await expect(old).rejects.toMatchObject({ code: expect.stringMatching(/PROTOCOL/) });
  });

  it("is refused by clients when a leaf is outside the constraints", async () => {
    const ca = await openScratch();
    const root = ca.issuerFor("ghcr.io")!;
    const port = await listen(contextOf(mintLeaf(root, ["evil.example.com"], Date.now())));
    await expect(shake(port, { ca: ca.bundle, servername: "evil.example.com" })).rejects.toMatchObject({
      message: expect.stringContaining("permitted subtree violation"),
    });
  });

  it("says so when a client does not trust the CA, once", async () => {
    const { log, lines } = recorder();
    const { port } = await front({ log });
    const stranger = (await openScratch()).bundle;
    for (let i = 0; i < 3; i++) expect(await sClient(port, stranger, "ghcr.io")).toContain("verify failed");
    await expect.poll(() => lines.filter(({ level }) => level === 40)).toHaveLength(1);
    expect(lines.find(({ level }) => level === 40)).toMatchObject({ host: "ghcr.io", client: "127.0.0.1" });
  });

  it("outlives garbage, half a handshake, and a client that goes at once", async () => {
    const { ca, port } = await front();
    const sent = ["GET / HTTP/1.1\r\n\r\n", Buffer.from("160301", "hex"), Buffer.alloc(20_000, 0x16), ""];
    for (const bytes of sent) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const socket = connectTcp(port, "127.0.0.1", () => socket.end(bytes, () => socket.destroy()));
      socket.on("error", () => undefined).on("close", () => resolve());
      await promise;
    }
    await expect(shake(port, { ca, servername: "ghcr.io" })).resolves.toBeDefined();
  });

  it("satisfies openssl s_client", async () => {
    const { ca, port } = await front();
    expect(await sClient(port, ca, "ghcr.io")).toMatch(/Verification: OK[\s\S]*Verified peername: ghcr\.io/);
  });
});

describe("renewal", () => {
  it("comes at two thirds of a leaf's life, with SNI and without", async () => {
    let now = Date.now() - 20 * DAY;
    const began = now;
    const { ca, port } = await (async () => {
      const ca = await openScratch({ clock: () => now });
      const contexts = secureContexts(ca, { ...base, clock: () => now });
      return { ca: ca.bundle, port: await listen(contexts.options, contexts.follow) };
    })();
    const serials = async () => {
      const named = await shake(port, { ca, servername: "ghcr.io" });
      const unnamed = await shake(port, { ca, servername: "", checkServerIdentity: () => undefined });
      return [named.certificate.serialNumber, unnamed.certificate.serialNumber];
    };
    const first = await serials();
    now = began + 20 * DAY - 1;
    expect(await serials()).toEqual(first);
    now = began + 20 * DAY;
    const second = await serials();
    expect(second.some((serial) => first.includes(serial))).toBe(false);
    // A clock set back by more than the day that leaves are backdated.
    now = began + 18 * DAY;
    expect((await serials()).some((serial) => second.includes(serial))).toBe(false);
  });

  it("stops at the end of the root, where no leaf could live longer, and says so", async () => {
    const { log, lines } = recorder();
    let now = Date.now();
    const ca = await openScratch({ clock: () => now });
    const contexts = secureContexts(ca, { ...base, clock: () => now, log });
    const port = await listen(contexts.options, contexts.follow);
    const ask = () => shake(port, { servername: "ghcr.io", rejectUnauthorized: false });
    now = ca.notAfter - DAY;
    const last = await ask();
    now = ca.notAfter - 1;
    expect((await ask()).certificate.serialNumber).toBe(last.certificate.serialNumber);
    now = ca.notAfter;
    await expect(ask()).rejects.toBeDefined();
    expect(lines.some(({ msg, host }) => msg === "no certificate can be shown" && host === "ghcr.io")).toBe(true);
  });
});

describe("resumption", () => {
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    it(`does not happen over ${version}: every name is looked at each time`, async () => {
      const { ca, port } = await front();
      const common = { host: "127.0.0.1", port, ca, minVersion: version, maxVersion: version } as const;
      const sessions: Buffer[] = [];
      const { promise, resolve } = Promise.withResolvers<void>();
      const socket = connect({ ...common, servername: "ghcr.io" });
      socket.on("session", (session: Buffer) => void sessions.push(session));
      socket.on("close", () => resolve()).resume();
      await promise;
      const offered = sessions.length === 0 ? {} : { session: sessions[0]! };
      for (const servername of ["ghcr.io", "registry.gitlab.com"]) {
        const seen = await shake(port, { ...common, ...offered, servername });
        expect([seen.reused, seen.certificate.subjectaltname]).toEqual([false, `DNS:${servername}`]);
      }
      const stranger = shake(port, { ...common, ...offered, servername: "evil.example.com" });
      await expect(stranger).rejects.toMatchObject({ code: "ERR_SSL_TLSV1_UNRECOGNIZED_NAME" });
    });
  }
});

describe("a further root", () => {
  it("signs for new sites only: who has the old file is served as before", async () => {
    const options = caOptions(scratch(), { names: ["ghcr.io", "layover"] });
    const old = (await openCa(options)).bundle;
    const grown = await openCa({ ...options, names: [...options.names, "registry.gitlab.com"] });
    const port = await listen(secureContexts(grown, base).options);
    await expect(shake(port, { ca: old, servername: "ghcr.io" })).resolves.toBeDefined();
    await expect(shake(port, { ca: old, servername: "registry.gitlab.com" })).rejects.toBeDefined();
    for (const servername of SITES) await expect(shake(port, { ca: grown.bundle, servername })).resolves.toBeDefined();
  });
});
