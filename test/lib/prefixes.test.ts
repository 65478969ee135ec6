import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PrefixError, parsePrefixes, plainAddress } from "../../src/lib/prefixes.ts";

describe("private", () => {
  const isPrivate = parsePrefixes(["private"]);
  it.each([
    "10.1.2.3",
    "172.31.255.255",
    "192.168.0.1",
    "127.0.0.4",
    "169.254.1.1",
    "::1",
    "fc00::1",
    "fdff:ffff::1",
    "fe80::1%eth0",
    "::ffff:10.0.0.1",
    "::ffff:a00:1",
  ])("holds %s", (address) => expect(isPrivate(address)).toBe(true));
  it.each([
    "8.8.8.8",
    "172.32.0.1",
    "11.0.0.1",
    "100.64.0.1",
    "2001:db8::1",
    "fe00::1",
    "::ffff:8.8.8.8",
    "::2",
    "",
    "x",
    "10.0.0.1:53",
  ])("does not hold %j", (address) => expect(isPrivate(address)).toBe(false));
});

describe("lists", () => {
  it("are nobody when empty, everybody with all", () => {
    expect(parsePrefixes([])("10.0.0.1")).toBe(false);
    expect(parsePrefixes(["all"])("8.8.8.8")).toBe(true);
    expect(parsePrefixes(["all"])("no address")).toBe(false);
  });

  it("take prefixes and single addresses of both families", () => {
    const list = parsePrefixes(["10.9.0.0/16", "192.0.2.7", "2001:db8::/32", "::ffff:198.51.100.0/120", "Private"]);
    for (const address of ["10.9.255.1", "192.0.2.7", "2001:db8:1::1", "198.51.100.200", "127.0.0.1"])
      expect(list(address)).toBe(true);
    for (const address of ["192.0.2.8", "2001:db9::1", "198.51.101.1"]) expect(list(address)).toBe(false);
  });

  it("do not let ::/0 mean IPv4 as well", () => {
    expect(parsePrefixes(["::/0"])("10.0.0.1")).toBe(false);
    expect(parsePrefixes(["::/0"])("2001:db8::1")).toBe(true);
    expect(parsePrefixes(["0.0.0.0/0"])("2001:db8::1")).toBe(false);
    expect(parsePrefixes(["0.0.0.0/0"])("::ffff:8.8.8.8")).toBe(true);
  });

  it.each(["privat", "10.0.0.0/33", "10.0.0/8", "::1/129", "", "10.0.0.1-2", "fe80::1%eth0", "::ffff:10.0.0.0/95", "10.0.0.0/"])(
    "refuse %j",
    (entry) => expect(() => parsePrefixes([entry])).toThrow(PrefixError),
  );

  it("throw nothing else, and never hold garbage", () =>
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parsePrefixes([text]);
        } catch (error) {
          if (!(error instanceof PrefixError)) throw error;
        }
        return typeof parsePrefixes(["all"])(text) === "boolean";
      }),
    ));

  it("see the same in every spelling of a mapped address", () =>
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        const [a = 0, b = 0, c = 0, d = 0] = address.split(".").map(Number);
        const hex = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
        for (const form of [`::ffff:${address}`, `::FFFF:${hex}`, `0:0:0:0:0:ffff:${hex}`]) {
          expect(plainAddress(form)).toBe(address);
        }
      }),
    ));
});
