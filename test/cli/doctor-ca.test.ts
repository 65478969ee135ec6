import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseRoots } from "../../src/cli/ca-roots.ts";
import { checkAuthority, checkDockerTrust } from "../../src/cli/doctor-ca.ts";
import { emptyFolder } from "./command.ts";
import { makeRoot } from "./roots.ts";

const good = makeRoot(["ghcr.io", "quay.io"]);
const other = makeRoot(["gcr.io"], { name: "Other" });
const names = ["ghcr.io", "quay.io"];

const check = async (pem: string | undefined, key: string | undefined, { mode = 0o600, of = names } = {}) => {
  const folder = emptyFolder();
  const files = { certificate: join(folder, "ca.crt"), key: join(folder, "ca.key") };
  if (pem !== undefined) writeFileSync(files.certificate, pem);
  if (key !== undefined) writeFileSync(files.key, key);
  if (key !== undefined) chmodSync(files.key, mode);
  return checkAuthority({ ...files, names: of, now: Date.now() });
};

describe("the CA", () => {
  it("is well", async () => {
    const [finding, ...more] = await check(good.pem, good.key);
    expect(more).toEqual([]);
    expect(finding).toMatchObject({ status: "ok", text: expect.stringContaining(good.certificate.fingerprint256) });
  });

  it("may be of several roots", async () => {
    expect(await check(good.pem + other.pem, good.key, { of: [...names, "gcr.io"] })).toMatchObject([{ status: "ok" }]);
  });

  it("may not have been made yet", async () => expect(await check(undefined, undefined)).toMatchObject([{ status: "warn" }]));

  it.each<[string, () => ReturnType<typeof check>, RegExp]>([
    ["no certificate to its key", () => check(undefined, good.key), /not there yet/],
    ["no key", () => check(good.pem, undefined), /ca\.key: is missing/],
    ["another's key", () => check(good.pem, other.key), /does not match the certificate/],
    ["a key that is none", () => check(good.pem, "nonsense"), /holds no PEM private key/],
    ["a key that others may read", () => check(good.pem, good.key, { mode: 0o644 }), /read or written by others \(mode 0644\)/],
    [
      "a name it does not cover",
      () => check(good.pem, good.key, { of: ["ghcr.io", "gcr.io", "notghcr.io"] }),
      /no root covers gcr\.io, notghcr\.io:/,
    ],
    ["nonsense for a certificate", () => check("nonsense", good.key), /no certificate in PEM form/],
    ["a damaged certificate", () => check(good.pem.replace(/\n.{40}/, "\nAAAA"), good.key), /cannot be read/],
  ])("with %s fails", async (_, look, text) => {
    const findings = await look();
    expect(findings).toMatchObject([{ status: "fail", text: expect.stringMatching(text), mend: expect.any(String) }]);
    expect(JSON.stringify(findings)).not.toContain(good.key.split("\n")[1]);
  });

  it.each([
    [{ from: -20, until: -1 }, "fail", /expired/],
    [{ from: 1, until: 9 }, "fail", /valid only from/],
    [{ from: -1, until: 9 }, "warn", /expires on/],
  ])("at the wrong time: %j", async (times, status, text) => {
    const root = makeRoot(names, times);
    expect(await check(root.pem, root.key)).toEqual(
      expect.arrayContaining([expect.objectContaining({ status, text: expect.stringMatching(text) })]),
    );
  });

  it("is read from anything without harm", () =>
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const body = Buffer.from(bytes).toString("base64");
        return typeof parseRoots(`-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`) === "string";
      }),
    ));
});

describe("Docker's trust", () => {
  const trust = (files: Record<string, string>) => {
    const folder = emptyFolder();
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(join(folder, name, ".."), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    return checkDockerTrust(parseRoots(good.pem) as never, names, folder);
  };
  it("is nothing to say where there is no Docker", async () => expect(await trust({})).toEqual([]));
  it("is well", async () =>
    expect(await trust({ "ghcr.io/mine.crt": other.pem, "ghcr.io/layover.crt": good.pem })).toMatchObject([{ status: "ok" }]));
  it("may be in an older CA", async () =>
    expect(await trust({ "ghcr.io/ca.crt": other.pem })).toMatchObject([
      { status: "fail", text: expect.stringContaining("for ghcr.io") },
    ]));
  it("may be in a folder that is never read", async () =>
    expect(await trust({ "ghcr.io:443/ca.crt": good.pem })).toMatchObject([
      { status: "warn", text: expect.stringContaining(":443") },
    ]));
});
