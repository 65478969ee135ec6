import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ResolverOrder } from "../../src/dns/resolver-order.ts";
import { AddressError } from "../../src/lib/listen.ts";
import { formatResolver, parseResolver } from "../../src/lib/resolver-address.ts";

describe("a resolver's address", () => {
  it.each([
    ["8.8.8.8", "8.8.8.8:53"],
    ["10.0.0.2:5353", "10.0.0.2:5353"],
    ["::1", "[::1]:53"],
    ["[::1]:53", "[::1]:53"],
    ["[2001:db8::1]:5353", "[2001:db8::1]:5353"],
  ])("reads %s", (text, formatted) => {
    const resolver = parseResolver(text);
    expect(resolver.kind).toBe("plain");
    expect(formatResolver(resolver)).toBe(formatted);
  });

  it.each([
    ["tls://dns.google", { kind: "tls", host: "dns.google", port: 853 }, "tls://dns.google"],
    ["tls://DNS.google:8853/", { kind: "tls", host: "dns.google", port: 8853 }, "tls://dns.google:8853"],
    ["tls://[2001:db8::1]", { kind: "tls", host: "2001:db8::1", port: 853 }, "tls://[2001:db8::1]"],
    ["https://dns.google", { kind: "https", host: "dns.google", port: 443, path: "/dns-query" }, "https://dns.google/dns-query"],
    ["https://8.8.8.8:444/q", { kind: "https", host: "8.8.8.8", port: 444, path: "/q" }, "https://8.8.8.8:444/q"],
  ])("reads %s", (text, expected, formatted) => {
    const resolver = parseResolver(text);
    expect(resolver).toEqual(expected);
    expect(formatResolver(resolver)).toBe(formatted);
    expect(parseResolver(formatted)).toEqual(expected);
  });

  it("is read or refused, whatever it is, and what is read can be read again", () => {
    const texts = fc.oneof(
      fc.string(),
      fc.webUrl({ validSchemes: ["tls", "https", "quic"], withQueryParameters: true }),
      fc
        .tuple(fc.constantFrom("tls://", "https://", ""), fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()), fc.string())
        .map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          const resolver = parseResolver(text);
          expect(parseResolver(formatResolver(resolver))).toEqual(resolver);
        } catch (error) {
          expect(error).toBeInstanceOf(AddressError);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    "",
    "dns.google",
    "tls://",
    "tls://a/b",
    "tls://u:p@a",
    "https://a/?dns",
    "https://a:0",
    "quic://a",
    "tls://a b",
    "8.8.8",
    "8.8.8.8:70000",
    "8.8.8.8:0",
    "[::1",
    "8.8.8.8:",
  ])("refuses %j", (text) => {
    expect(() => parseResolver(text)).toThrow(AddressError);
  });
});

describe("the order of resolvers", () => {
  const [first, second, third] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(parseResolver) as [never, never, never];
  const orderAt = () => {
    const time = { now: 0 };
    return { time, order: new ResolverOrder([first, second, third], 5_000, () => time.now) };
  };

  it("is as configured, with those last that failed, until they answer", () => {
    const { order } = orderAt();
    expect(order.order()).toEqual([first, second, third]);
    expect(order.failed(first)).toBe(true);
    expect(order.failed(first)).toBe(false);
    expect(order.order()).toEqual([second, third, first]);
    expect(order.answered(first)).toBe(true);
    expect(order.answered(first)).toBe(false);
    expect(order.order()).toEqual([first, second, third]);
  });

  it("gives a failed one to probe once in a while, as long as another does the work", () => {
    const { order, time } = orderAt();
    order.failed(second);
    expect(order.takeProbes()).toEqual([]);
    time.now = 5_000;
    expect(order.takeProbes()).toEqual([second]);
    expect(order.takeProbes()).toEqual([]);
    time.now = 10_000;
    order.failed(first);
    order.failed(third);
    expect(order.takeProbes()).toEqual([]);
    expect(order.order()).toEqual([first, second, third]);
  });
});
