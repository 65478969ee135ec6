import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AdminError } from "../../src/admin/error.ts";
import { parseImage, parsePlace, referenceOf, written } from "../../src/admin/references.ts";
import { loadConfig } from "../../src/config/load.ts";
import { siteTable } from "../../src/sites.ts";

const DIGEST = `sha256:${"0".repeat(64)}`;
const { sites: all } = await loadConfig({ file: undefined, env: {}, cwd: "/nonexistent" });
const sites = siteTable(all);
const plain = (text: string) => {
  const image = parseImage(text, sites);
  return written(image.site.host, image.repo, referenceOf(image));
};

describe("an image", () => {
  it.each([
    ["ubuntu", "registry-1.docker.io/library/ubuntu:latest"],
    ["ubuntu:24.04", "registry-1.docker.io/library/ubuntu:24.04"],
    ["acme/app", "registry-1.docker.io/acme/app:latest"],
    ["docker.io/ubuntu", "registry-1.docker.io/library/ubuntu:latest"],
    ["docker.io/library/ubuntu:1", "registry-1.docker.io/library/ubuntu:1"],
    ["index.docker.io/acme/app:1", "registry-1.docker.io/acme/app:1"],
    ["ghcr.io/acme/app:1", "ghcr.io/acme/app:1"],
    ["GHCR.io/acme/app:1", "ghcr.io/acme/app:1"],
    ["ghcr.io/app", "ghcr.io/app:latest"],
    ["docker://ghcr.io/acme/app:1", "ghcr.io/acme/app:1"],
    [`ghcr.io/acme/app@${DIGEST}`, `ghcr.io/acme/app@${DIGEST}`],
    [`ghcr.io/acme/app:1@${DIGEST}`, `ghcr.io/acme/app@${DIGEST}`],
    [`ubuntu@${DIGEST}`, `registry-1.docker.io/library/ubuntu@${DIGEST}`],
    [" ghcr.io/a/b:1\n", "ghcr.io/a/b:1"],
  ])("%j is %s", (text, expected) => {
    expect(plain(text)).toBe(expected);
    expect(plain(expected)).toBe(expected);
  });

  it.each([
    [
      "registry.example/acme/app:1",
      "UNKNOWN_SITE",
      /registry\.example is no site of this Layover, which has registry-1\.docker\.io, ghcr\.io/,
    ],
    ["ghcr.io:5000/acme/app", "UNKNOWN_SITE", /ghcr\.io:5000 is no site/],
    ["localhost/app", "UNKNOWN_SITE", /localhost/],
    ["ghcr.io/Acme/app", "INVALID", /"ghcr\.io\/Acme\/app": invalid repository name/],
    ["ghcr.io/", "INVALID", /invalid repository name/],
    ["", "INVALID", /invalid repository name/],
    ["ghcr.io/a/b:", "INVALID", /"" is no tag/],
    ["ghcr.io/a/b:x/y", "INVALID", /./],
    ["ghcr.io/a/b@sha256:12", "INVALID", /not a sha256 or sha512 digest/],
    ["ghcr.io/a/b@x@y", "INVALID", /./],
    ["https://ghcr.io/a/b", "UNKNOWN_SITE", /https:/],
    ["../../etc/passwd", "UNKNOWN_SITE", /./],
  ])("%j is refused", (text, code, message) => {
    const parse = () => parseImage(text, sites);
    expect(parse).toThrow(message);
    expect(parse).toThrow(expect.objectContaining({ code }));
  });

  it("is refused with a site that has been taken away", () => {
    const without = siteTable(all.filter(({ host }) => host !== "registry-1.docker.io"));
    expect(() => parseImage("ubuntu", without)).toThrow(/docker\.io is no site/);
  });

  it("is parsed or refused, whatever it is", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.stringMatching(/^[a-z:/@.]*$/)), (text) => {
        try {
          expect(plain(plain(text))).toBe(plain(text));
        } catch (error) {
          expect(error).toBeInstanceOf(AdminError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("a place", () => {
  it.each([
    ["ghcr.io", "ghcr.io", undefined],
    ["ghcr.io/", "ghcr.io", undefined],
    ["docker.io", "registry-1.docker.io", undefined],
    ["ubuntu", "registry-1.docker.io", "library/ubuntu"],
    ["ghcr.io/acme/app", "ghcr.io", "acme/app"],
  ])("%j", (text, host, repo) => {
    const place = parsePlace(text, sites);
    expect([place.site.host, place.repo]).toEqual([host, repo]);
  });

  it("is no image, and no unknown site", () => {
    expect(() => parsePlace("ghcr.io/acme/app:1", sites)).toThrow(/expected a site or a repository/);
    expect(() => parsePlace("registry.example", sites)).toThrow(/registry\.example is no site/);
  });
});
