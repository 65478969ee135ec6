// Tar headers against GNU tar's reading of them, and against whatever somebody may send.
import { execFileSync } from "node:child_process";
import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BLOCK, END, headerOf, paddingOf, parseHeader, parsePax, TarError } from "../../src/lib/tar.ts";
import { emptyFolder } from "../cli/command.ts";

const size = fc.oneof(fc.nat(), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));

describe("a header", () => {
  it("is what it was", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z0-9/]{1,100}$/), size, (name, bytes) => {
        const header = headerOf(name, bytes);
        expect(header.length).toBe(BLOCK);
        expect(parseHeader(header)).toEqual({ name, size: bytes, kind: name.endsWith("/") ? "folder" : "file" });
      }),
    );
  });

  it("of a long name says it before", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z0-9]{101,300}$/), size, (name, bytes) => {
        const headers = headerOf(name, bytes);
        const pax = parseHeader(headers.subarray(0, BLOCK))!;
        expect(pax.kind).toBe("pax");
        expect(parsePax(headers.subarray(BLOCK, BLOCK + pax.size))).toEqual({ path: name });
        expect(parseHeader(headers.subarray(2 * BLOCK))).toMatchObject({ size: bytes, kind: "file" });
      }),
    );
  });

  it("is read by tar, also with a long name and more than eight GiB", () => {
    const file = join(emptyFolder(), "large.tar");
    const [long, large] = [`blobs/sha512/${"a".repeat(128)}`, 9 * 2 ** 30 + 1];
    const handle = openSync(file, "w");
    let at = writeSync(handle, headerOf(long, large)) + large + paddingOf(large);
    ftruncateSync(handle, at);
    for (const bytes of [headerOf("last", 0), END]) at += writeSync(handle, bytes, 0, bytes.length, at);
    closeSync(handle);
    const listed = execFileSync("tar", ["--utc", "--full-time", "-tvf", file], { encoding: "utf8" });
    expect(listed.trim().split("\n")).toEqual([
      `-rw-r--r-- 0/0      ${large} 1970-01-01 00:00:00 ${long}`,
      expect.stringMatching(/^-rw-r--r-- 0\/0 +0 1970-01-01 00:00:00 last$/),
    ]);
  });
});

describe("what comes from outside", () => {
  it("is a header, the end, or refused", () => {
    const block = fc.uint8Array({ minLength: BLOCK, maxLength: BLOCK });
    const spoilt = fc.tuple(fc.nat({ max: BLOCK - 1 }), fc.nat({ max: 255 })).map(([at, byte]) => {
      const header = headerOf("blobs/sha256/x", 1_000);
      header[at] = byte;
      return header;
    });
    fc.assert(
      fc.property(fc.oneof(block, spoilt), (bytes) => {
        try {
          const header = parseHeader(Buffer.from(bytes));
          if (header !== undefined) expect(Number.isSafeInteger(header.size) && header.size >= 0).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(TarError);
        }
      }),
      { numRuns: 2_000 },
    );
    expect(parseHeader(Buffer.alloc(BLOCK))).toBeUndefined();
  });

  it("in a pax header is a path and a size, or refused", () => {
    const record = fc
      .tuple(fc.constantFrom("path", "size", "mtime", "x"), fc.string())
      .map(([key, value]) => `${key}=${value}\n`);
    const records = fc.array(fc.oneof(record, fc.string())).map((all) => all.map((one) => `${one.length + 3} ${one}`).join(""));
    fc.assert(
      fc.property(fc.oneof(records, fc.string()), (text) => {
        try {
          const { size = 0 } = parsePax(Buffer.from(text));
          expect(Number.isSafeInteger(size) && size >= 0).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(TarError);
        }
      }),
      { numRuns: 2_000 },
    );
    expect(parsePax(Buffer.from("11 size=12\n"))).toEqual({ size: 12 });
    expect(() => parsePax(Buffer.from("11 size=-1\n"))).toThrow(TarError);
    expect(() => parsePax(Buffer.from("0 path=\n"))).toThrow(TarError);
    expect(() => parsePax(Buffer.from("99 path=x\n"))).toThrow(TarError);
    expect(() => parsePax(Buffer.from("22 GNU.sparse.major=1\n"))).toThrow(/sparse/);
  });
});
