import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { plainHost } from "../../src/lib/host-name.ts";
import { encode } from "../../src/tls/asn1.ts";
import { decodeConstraints, encodeConstraints, onlyNames, permits, UNCONSTRAINED } from "../../src/tls/constraints.ts";
import { addressBytes, isHostName } from "../../src/tls/host.ts";

const label = fc.stringMatching(/^[a-c]{1,2}$/);
const host = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."));
const hosts = fc.array(host, { minLength: 1, maxLength: 5 });

/** RFC 5280 4.2.1.10 said in labels: constructed by adding zero or more labels to the left. */
const below = (name: string, base: string): boolean => {
  const [labels, wanted] = [name.split(".").reverse(), base.split(".").reverse()];
  return wanted.every((label, i) => labels[i] === label);
};

describe("name constraints", () => {
  it("hold a name and what is below it, at label boundaries only", () => {
    const constraints = onlyNames(["ghcr.io"]);
    expect(["ghcr.io", "a.ghcr.io", "a.b.ghcr.io"].map((name) => permits(constraints, name))).toEqual([true, true, true]);
    expect(["notghcr.io", "io", "ghcr.io.evil.com", "ghcr.com"].some((name) => permits(constraints, name))).toBe(false);
  });

  it("agree with RFC 5280 on any names, and go through DER unchanged", () => {
    fc.assert(
      fc.property(hosts, host, (bases, name) => {
        const expected = bases.some((base) => below(name, base));
        const constraints = onlyNames(bases);
        const again = decodeConstraints(encode(encodeConstraints(constraints)));
        expect([permits(constraints, name), permits(again, name)]).toEqual([expected, expected]);
        expect(bases.every((base) => permits(again, base))).toBe(true);
      }),
    );
  });

  it("exclude wins over permit", () => {
    fc.assert(
      fc.property(hosts, hosts, host, (permitted, excluded, name) => {
        const constraints = { permitted: { names: permitted, ranges: [] }, excluded: { names: excluded, ranges: [] } };
        const expected = permitted.some((base) => below(name, base)) && !excluded.some((base) => below(name, base));
        expect(permits(decodeConstraints(encode(encodeConstraints(constraints))), name)).toBe(expected);
      }),
    );
  });

  it("leave out what is below another", () => {
    expect(onlyNames(["a.ghcr.io", "ghcr.io", "ghcr.io", "notghcr.io"]).permitted.names).toEqual(["ghcr.io", "notghcr.io"]);
  });

  it("let no address through beside names, and any without constraints", () => {
    for (const address of ["10.0.0.1", "0.0.0.0", "::1", "2001:db8::5"]) {
      expect(permits(onlyNames(["ghcr.io"]), address)).toBe(false);
      expect(permits(UNCONSTRAINED, address)).toBe(true);
    }
  });

  it("read a range of addresses by its mask", () => {
    const ten = { names: [], ranges: [{ address: Buffer.from([10, 1, 0, 0]), mask: Buffer.from([255, 255, 0, 0]) }] };
    const constraints = { permitted: ten, excluded: { names: [], ranges: [] } };
    expect(["10.1.2.3", "10.2.0.1", "::1", "ghcr.io"].map((name) => permits(constraints, name))).toEqual([
      true,
      false,
      false,
      true,
    ]);
  });

  it("take a leading dot as Go and OpenSSL do: below, not the name itself", () => {
    const constraints = { permitted: { names: [".ghcr.io"], ranges: [] }, excluded: { names: [], ranges: [] } };
    expect(["ghcr.io", "a.ghcr.io"].map((name) => permits(constraints, name))).toEqual([false, true]);
  });

  it("throw an Error, or read, for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          decodeConstraints(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
    );
  });
});

describe("host names", () => {
  it("are plain without case and trailing dot", () => {
    expect([plainHost("Registry.GitLab.com."), plainHost("a")]).toEqual(["registry.gitlab.com", "a"]);
  });

  it("are exact: no wildcard, no empty label, no address, nothing too long", () => {
    expect(["a", "ghcr.io", "my_reg.corp", "xn--bcher-kva.example", "3.example"].every(isHostName)).toBe(true);
    const bad = [
      "",
      "*.ghcr.io",
      "a..b",
      ".a",
      "a.",
      "10.0.0.1",
      "::1",
      "a b",
      "bücher.example",
      "ghcr.io:443",
      "a".repeat(64),
      `${"a.".repeat(127)}a`,
    ];
    expect(bad.filter(isHostName)).toEqual([]);
  });

  it("write addresses as octets", () => {
    expect([...addressBytes("10.0.0.255")]).toEqual([10, 0, 0, 255]);
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        const hex = addressBytes(address).toString("hex").match(/.{4}/g)!.join(":");
        expect(new URL(`http://[${hex}]`).hostname).toBe(new URL(`http://[${address}]`).hostname);
      }),
    );
  });
});
