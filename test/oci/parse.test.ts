import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestOf, isDigest, parseDigest } from "../../src/oci/digest.ts";
import { OciError } from "../../src/oci/error.ts";
import { accepts, parseAccept } from "../../src/oci/media.ts";
import { parseChunkRange, parseContentRange, parseRange, resolveRange } from "../../src/oci/range.ts";
import { isRepository, parseReference, parseRepository } from "../../src/oci/reference.ts";

const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof OciError) return error.code;
    throw error;
  }
  return "none";
};

describe("digest", () => {
  it("takes sha256 and sha512 in lower-case hex, and nothing else", () => {
    expect(parseDigest(digestOf(Buffer.from("a")))).toBe(
      "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
    );
    expect(isDigest(digestOf(Buffer.from("a"), "sha512"))).toBe(true);
    for (const bad of [
      "",
      "sha256:",
      "sha256:AB",
      `sha256:${"A".repeat(64)}`,
      `md5:${"a".repeat(32)}`,
      `sha256:${"a".repeat(63)}`,
      `sha256:${"a".repeat(65)}`,
      `sha256:${"a".repeat(64)}\n`,
      `sha256:${"../".repeat(21)}a`,
    ]) {
      expect(
        codeOf(() => parseDigest(bad)),
        bad,
      ).toBe("DIGEST_INVALID");
    }
  });

  it("never throws anything but DIGEST_INVALID", () => {
    fc.assert(fc.property(fc.string(), (text) => ["none", "DIGEST_INVALID"].includes(codeOf(() => parseDigest(text)))));
  });
});

describe("names", () => {
  it.each(["library/node", "a", "a/b/c", "a-b/c_d", "a__b", "a--b", "0/1", "acme/app.x"])("takes %s", (name) =>
    expect(parseRepository(name)).toBe(name),
  );
  it.each(["", "A", "a//b", "/a", "a/", "a/../b", "a%2fb", "-a", "a-", "a..b", "a___b", "a b", "a\n", "a".repeat(256)])(
    "refuses %j",
    (name) => {
      expect(codeOf(() => parseRepository(name))).toBe("NAME_INVALID");
    },
  );

  it("is never a way out of a folder", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("a", "/", ".", "-", "_", "\\", "%", "\0") }), (text) => {
        if (isRepository(text)) expect(text.split("/").every((part) => /^[a-z0-9]/.test(part))).toBe(true);
      }),
    );
  });

  it("tells tags from digests", () => {
    expect(parseReference("v1.2")).toBe("v1.2");
    expect(codeOf(() => parseReference("sha256:x"))).toBe("DIGEST_INVALID");
    expect(codeOf(() => parseReference(".x"))).toBe("MANIFEST_INVALID");
    expect(codeOf(() => parseReference("x".repeat(129)))).toBe("MANIFEST_INVALID");
  });
});

describe("ranges", () => {
  it.each([
    ["bytes=0-", { start: 0 }],
    ["bytes=5-9", { start: 5, end: 9 }],
    ["bytes=-3", { suffix: 3 }],
    ["bytes=0-1,4-5", undefined],
    ["items=0-1", undefined],
    ["bytes=-", undefined],
    [undefined, undefined],
  ])("%s", (header, want) => expect(parseRange(header)).toEqual(want));

  it("one that ends before it starts is refused", () => {
    expect(codeOf(() => parseRange("bytes=9-5"))).toBe("RANGE_INVALID");
  });

  it.each([
    ["0-99", { start: 0, end: 99 }],
    ["bytes 5-5/*", { start: 5, end: 5 }],
    [undefined, undefined],
  ])("of a chunk: %s", (header, want) => expect(parseChunkRange(header)).toEqual(want));

  it("of a chunk is refused, or what was written, whatever comes", () => {
    const header = fc.oneof(
      fc.string(),
      fc.tuple(fc.nat(), fc.nat()).map(([start, end]) => `${start}-${end}`),
    );
    fc.assert(
      fc.property(header, (text) => {
        try {
          const range = parseChunkRange(text)!;
          expect(range.end).toBeGreaterThanOrEqual(range.start);
          expect(text).toContain(`${range.start}-`);
        } catch (error) {
          expect(error).toMatchObject({ code: "BLOB_UPLOAD_INVALID" });
        }
      }),
    );
  });

  it("stays within the size", () => {
    const request = fc.oneof(
      fc.record({ start: fc.nat(), end: fc.nat() }),
      fc.record({ start: fc.nat() }),
      fc.record({ suffix: fc.nat() }),
    );
    fc.assert(
      fc.property(request, fc.nat(), (range, size) => {
        if ("end" in range && range.end < range.start) return;
        if (codeOf(() => resolveRange(range, size)) === "RANGE_INVALID") return;
        const { start, end } = resolveRange(range, size);
        expect(start).toBeGreaterThanOrEqual(0);
        expect(end).toBeLessThan(size);
        expect(end).toBeGreaterThanOrEqual(start);
      }),
    );
  });

  it("reads Content-Range, or nothing", () => {
    expect(parseContentRange("bytes 5-9/10")).toEqual({ start: 5, end: 9, total: 10 });
    expect(parseContentRange("bytes 5-9/*")).toEqual({ start: 5, end: 9, total: undefined });
    for (const bad of ["bytes 9-5/10", "bytes 5-10/10", "bytes */10", "5-9/10", ""])
      expect(parseContentRange(bad), bad).toBeUndefined();
    fc.assert(fc.property(fc.string(), (text) => void parseContentRange(text)));
  });
});

describe("accept", () => {
  it("reads several lines and lists, and leaves out q=0", () => {
    expect(parseAccept("a/b;q=0.5, C/D, e/f; q=0,, ")).toEqual(["a/b", "c/d"]);
  });

  it.each([
    [[], true],
    [["*/*"], true],
    [["application/*"], true],
    [["application/vnd.oci.image.index.v1+json"], true],
    [["application/vnd.docker.distribution.manifest.v2+json"], false],
  ])("%j", (ranges, want) => expect(accepts(ranges, "application/vnd.oci.image.index.v1+json; charset=utf-8")).toBe(want));
});
