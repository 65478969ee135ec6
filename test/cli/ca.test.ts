// `layover ca …` as it is typed.
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { caOptions } from "../../src/app-ca.ts";
import { loadConfig } from "../../src/config/load.ts";
import { openCa } from "../../src/tls/ca.ts";
import { corporate } from "../tls/corporate.ts";
import { emptyFolder, layover } from "./command.ts";
import { makeRoot } from "./roots.ts";

const good = makeRoot(["ghcr.io", "quay.io"]);

describe("ca show", () => {
  it("prints what clients compare", async () => {
    const cwd = emptyFolder();
    writeFileSync(join(cwd, "layover.yaml"), "ca: { certificate: ca.crt }");
    writeFileSync(join(cwd, "ca.crt"), good.pem + makeRoot([], { from: -9, until: -1, name: "Old" }).pem);
    const { code, stdout } = await layover(["ca", "show"], cwd);
    expect(code).toBe(0);
    expect(stdout).toContain(join(cwd, "ca.crt"));
    expect(stdout).toContain(`SHA-256    ${good.certificate.fingerprint256}`);
    expect(stdout).toContain("covers     ghcr.io, quay.io");
    expect(stdout).toMatch(/CN=Old[\s\S]*any name[\s\S]*EXPIRED/);
  });

  it("says when there is none", async () => {
    const { code, stderr } = await layover(["ca", "show"], emptyFolder());
    expect(code).toBe(1);
    expect(stderr).toContain("not there yet");
  });
});

describe("ca", () => {
  const made = async () => {
    const cwd = emptyFolder();
    writeFileSync(join(cwd, "layover.yaml"), '{ sites: { "*.pkg.dev": {} } }');
    await openCa(caOptions(await loadConfig({ file: undefined, env: {}, cwd })));
    const ca = (...args: string[]) => layover(["ca", ...args], cwd);
    const roots = async () =>
      (JSON.parse((await ca("show", "--json")).stdout) as { roots: { fingerprint: string; standing: string; covers: string }[] })
        .roots;
    return { cwd, ca, roots };
  };
  const standings = (roots: readonly { standing: string }[]): string[] => roots.map(({ standing }) => standing);

  it("rotates, plans anew, and retires", { timeout: 60_000 }, async () => {
    const { ca, roots, cwd } = await made();
    const [first] = await roots();
    expect(first).toMatchObject({ standing: "signs", covers: expect.stringContaining("pkg.dev") });
    const rotated = await ca("rotate", "--overlap", "14d");
    expect(rotated).toMatchObject({ code: 0, stderr: "" });
    expect(rotated.stdout).toMatch(/^Layover CA .* signs from 20.*\n {2}SHA-256 {4}[0-9A-F:]{95}\nUntil then clients fetch /);
    expect(standings(await roots())).toEqual(["signs", "coming"]);
    const again = await ca("rotate");
    expect([again.code, again.stderr]).toEqual([1, expect.stringMatching(/is to sign from .*\n.*--to/)]);
    const second = (await roots())[1]!;
    expect(await ca("rotate", "--to", second.fingerprint.slice(0, 11), "--now")).toMatchObject({ code: 0 });
    expect(standings(await roots())).toEqual(["going", "signs"]);
    const retired = await ca("rotate", "--retire");
    expect(retired.stdout).toContain(`is gone\n  SHA-256    ${first?.fingerprint}`);
    expect((await ca("rotate", "--retire")).stdout).toContain("nothing to take away");
    expect((await roots()).map(({ fingerprint }) => fingerprint)).toEqual([second.fingerprint]);
    expect((statSync(join(cwd, "keys/ca.key")).mode & 0o777).toString(8)).toBe("600");
  });

  it("exports certificates alone", async () => {
    const { ca, cwd } = await made();
    const { stdout, stderr } = await ca("export");
    expect(stdout).toBe(readFileSync(join(cwd, "certs/ca.crt"), "utf8"));
    expect(stderr).toMatch(/^CN=Layover CA .*\n {2}SHA-256 {4}[0-9A-F:]{95}\n$/);
    expect(await ca("export", "out.pem")).toMatchObject({ code: 0, stdout: "" });
    expect(readFileSync(join(cwd, "out.pem"), "utf8")).toBe(stdout);
    expect(await ca("export", "no/such/folder.pem")).toMatchObject({ code: 1, stdout: "" });
  });

  it("imports with a passphrase, which it never prints", async () => {
    const { cwd, roots } = await made();
    const corp = corporate(emptyFolder());
    const { openssl } = await import("../tls/scratch.ts");
    openssl("pkcs8", "-topk8", "-in", corp.key, "-out", join(cwd, "locked.key"), "-passout", "pass:tell nobody");
    const args = ["ca", "import", "--certificate", corp.chain, "--key", "locked.key", "--now"];
    const refused = await layover(args, cwd);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("LAYOVER_CA_PASSPHRASE")]);
    const taken = await layover(args, cwd, { LAYOVER_CA_PASSPHRASE: "tell nobody" });
    expect([taken.code, taken.stderr]).toEqual([0, ""]);
    expect(taken.stdout).toMatch(/^Corp root signs at once[\s\S]*shown, beside the leaf: Corp issuing\n[\s\S]*rotate --to/);
    expect(JSON.stringify(taken)).not.toMatch(/tell nobody|PRIVATE/);
    expect(standings(await roots())).toEqual(["going", "signs"]);
  });

  it("refuses what is no time, and what excludes each other", async () => {
    const { ca, roots } = await made();
    for (const args of [
      ["--overlap", "soon"],
      ["--overlap", "1d", "--now"],
      ["--retire", "--now"],
      ["--retire", "--to", "AA"],
    ])
      expect(await ca("rotate", ...args)).toMatchObject({ code: 2, stdout: "" });
    expect(await ca("rotate", "--to", "00:00:00:00:00")).toMatchObject({ code: 1, stdout: "" });
    expect(await roots()).toHaveLength(1);
  });
});
