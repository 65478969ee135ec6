import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readHello } from "../../src/tls/client-hello.ts";
import { extension, hello, helloOfNode, helloOfOpenssl, records, serverName, vector } from "./hello.ts";

const nameOf = (bytes: Buffer) => readHello(bytes)?.serverName;

describe("the host that a client asks for", () => {
  it.each(["TLSv1.2", "TLSv1.3"] as const)("is found in what Node and OpenSSL send over %s", async (version) => {
    const node = { minVersion: version, maxVersion: version } as const;
    const openssl = `-${version.toLowerCase().replace(".", "_").replace("v", "")}`;
    expect(nameOf(await helloOfNode({ ...node, servername: "Auth.Docker.IO" }))).toBe("Auth.Docker.IO");
    expect(readHello(await helloOfNode({ ...node, servername: "" }))).toEqual({ serverName: undefined });
    expect(nameOf(await helloOfOpenssl(openssl, "-servername", "gitlab.com.", "-alpn", "h2,http/1.1"))).toBe("gitlab.com.");
    expect(readHello(await helloOfOpenssl(openssl, "-noservername"))).toEqual({ serverName: undefined });
  });

  it("is found among GREASE and behind ECH, of which the outer one is told", () => {
    const grease = [extension(0x0a0a, Buffer.alloc(0)), extension(0xfafa, Buffer.from([0]))];
    const ech = extension(0xfe0d, Buffer.concat([Buffer.from([0]), Buffer.alloc(200, 3)]));
    expect(nameOf(records(hello([grease[0]!, ech, serverName("public.example"), grease[1]!])))).toBe("public.example");
  });

  it("is found however it is cut, and not before the message is whole", () => {
    const octets = fc.uint8Array({ maxLength: 300 });
    const more = fc.array(fc.tuple(fc.integer({ min: 1, max: 0xffff }), octets), { maxLength: 12 });
    const label = fc.stringMatching(/^[A-Za-z0-9-]{1,30}(\.[a-z]{2,10}){0,3}\.?$/);
    fc.assert(
      fc.property(
        more,
        label,
        fc.nat(12),
        fc.integer({ min: 100, max: 900 }),
        fc.nat(),
        octets,
        (others, name, at, size, cut, after) => {
          const extensions = others.map(([type, data]) => extension(type, Buffer.from(data)));
          extensions.splice(at, 0, serverName(name));
          const bytes = records(hello(extensions), size);
          expect(readHello(bytes)).toEqual({ serverName: name });
          expect(readHello(Buffer.concat([bytes, after]))).toEqual({ serverName: name });
          expect(readHello(bytes.subarray(0, cut % bytes.length))).toBeUndefined();
        },
      ),
    );
  });

  it.each([
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\nHost: gitlab.com\r\n\r\n")],
    ["SSLv2", Buffer.from("802e0100020015000000100100800200800300800400800500800600400700c00", "hex")],
    ["another record", Buffer.from("1703030005aaaaaaaaaa", "hex")],
    ["an empty record", Buffer.from("1603010000", "hex")],
    ["another message", records(Buffer.concat([Buffer.from([2]), vector(3, Buffer.alloc(40))]))],
    ["no extensions", records(hello(undefined))],
    ["a name twice", records(hello([serverName("gitlab.com"), serverName("ghcr.io")]))],
    ["two names in one", records(hello([serverName("gitlab.com", "ghcr.io")]))],
    ["an empty name", records(hello([serverName("")]))],
    [
      "another kind of name",
      records(hello([extension(0, vector(2, Buffer.concat([Buffer.from([1]), vector(2, Buffer.from("x"))])))])),
    ],
    ["a message of 70 kB", records(hello([extension(21, Buffer.alloc(60_000)), serverName("gitlab.com")]))],
  ])("there is none in %s", (_what, bytes) => {
    expect(readHello(bytes)).toEqual({ serverName: undefined });
  });

  it("lengths that lie, and bytes of any kind, are no names, and never more than that", () => {
    const whole = records(
      hello([extension(43, Buffer.from("020304", "hex")), serverName("gitlab.com"), extension(16, Buffer.alloc(9))]),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }), (changes) => {
        const bytes = Buffer.from(whole);
        for (const [at, value] of changes) bytes[at] = value;
        const told = readHello(bytes);
        expect(told === undefined || told.serverName === undefined || typeof told.serverName === "string").toBe(true);
      }),
      { numRuns: 2_000 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => void readHello(Buffer.from(bytes))));
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 600 }),
        (bytes) => void readHello(records(Buffer.concat([Buffer.from([1]), vector(3, Buffer.from(bytes))]))),
      ),
    );
  });

  it("is not waited for in more than 64 records, nor in 16 kB", () => {
    const message = hello([serverName("gitlab.com")]);
    expect(nameOf(records(message, Math.ceil(message.length / 64)))).toBe("gitlab.com");
    const drip = records(message, 1);
    expect(readHello(drip.subarray(0, 6 * 60))).toBeUndefined();
    expect(readHello(drip.subarray(0, 6 * 64))).toEqual({ serverName: undefined });
    expect(readHello(records(hello([extension(21, Buffer.alloc(16_500))])).subarray(0, 100))).toEqual({ serverName: undefined });
  });
});
