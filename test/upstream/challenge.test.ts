import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bearerOf, parseChallenges } from "../../src/upstream/challenge.ts";

const plain = (values: readonly string[]) => parseChallenges(values).map(({ scheme, params }) => [scheme, { ...params }]);

describe("challenges", () => {
  it.each<[string, string[], unknown]>([
    [
      "the Hub's",
      ['Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull"'],
      [
        [
          "bearer",
          { realm: "https://auth.docker.io/token", service: "registry.docker.io", scope: "repository:library/alpine:pull" },
        ],
      ],
    ],
    [
      "commas within quotes",
      ['Bearer scope="repository:a:pull,push",realm="r"'],
      [["bearer", { scope: "repository:a:pull,push", realm: "r" }]],
    ],
    [
      "several in a header",
      ['Basic realm="a", Bearer realm="b"'],
      [
        ["basic", { realm: "a" }],
        ["bearer", { realm: "b" }],
      ],
    ],
    [
      "several headers",
      ['Basic realm="a"', 'Bearer realm="b"'],
      [
        ["basic", { realm: "a" }],
        ["bearer", { realm: "b" }],
      ],
    ],
    [
      "a scheme without parameters",
      ['Negotiate, Basic realm="a"'],
      [
        ["negotiate", {}],
        ["basic", { realm: "a" }],
      ],
    ],
    ["escapes", ['Basic realm="a \\"b\\" \\\\"'], [["basic", { realm: 'a "b" \\' }]]],
    ["any case, blanks around the sign", ['BEARER Realm = "a" , SCOPE=b'], [["bearer", { realm: "a", scope: "b" }]]],
    [
      "unquoted values",
      ["Bearer realm=https://a.example/token,service=x"],
      [["bearer", { realm: "https://a.example/token", service: "x" }]],
    ],
    ["empty elements", [', ,Basic realm="a",,'], [["basic", { realm: "a" }]]],
    [
      "names that objects have",
      ['Bearer __proto__="a",constructor="b"'],
      [
        [
          "bearer",
          Object.fromEntries([
            ["__proto__", "a"],
            ["constructor", "b"],
          ]),
        ],
      ],
    ],
    ["a quote that never ends", ['Bearer realm="a'], [["bearer", { realm: "" }]]],
    ["nothing", ["", "   "], []],
    ["noise", ["\u0000\u0001", "=,=", '"'], []],
  ])("reads %s", (_name, values, expected) => {
    expect(JSON.stringify(plain(values))).toBe(JSON.stringify(expected));
  });

  it("never throws, and never takes long", () => {
    const piece = fc.constantFrom("Bearer ", "Basic", "realm", "=", '"', "\\", ",", " ", "\t", "a", "\u00ff", "https://a/");
    const header = fc.oneof(
      fc.string({ maxLength: 200 }),
      fc.array(piece, { maxLength: 60 }).map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(fc.array(header, { maxLength: 4 }), (values) => {
        parseChallenges(values);
        bearerOf(values);
      }),
    );
    const long = `Bearer realm="${'\\"'.repeat(50_000)}`;
    const began = performance.now();
    parseChallenges([long, "a ".repeat(50_000), '="'.repeat(50_000)]);
    expect(performance.now() - began).toBeLessThan(2_000);
  });

  it("reads back what was written", () => {
    const value = fc.string({ unit: fc.constantFrom("a", ",", "=", " ", '"', "\\", ":", "&"), maxLength: 20 });
    fc.assert(
      fc.property(value, value, (realm, scope) => {
        const quoted = (text: string) => `"${text.replace(/["\\]/g, "\\$&")}"`;
        const header = `Bearer realm=${quoted(realm)},scope=${quoted(scope)}`;
        expect(plain([header])).toEqual([["bearer", { realm, scope }]]);
      }),
    );
  });
});

describe("the bearer among them", () => {
  it("is found after others", () => {
    const found = bearerOf(['Basic realm="x"', 'Bearer realm="https://a.example/token?x=1",service="s"']);
    expect(found).toMatchObject({ service: "s", scope: undefined });
    expect(found?.realm.href).toBe("https://a.example/token?x=1");
  });

  it.each([
    'Bearer realm="/token"',
    'Bearer service="s"',
    'Bearer realm="file:///etc/passwd"',
    'Bearer realm="javascript:1"',
    'Basic realm="https://a"',
  ])("is none in %s", (header) => expect(bearerOf([header])).toBeUndefined());
});
