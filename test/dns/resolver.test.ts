import { describe, expect, it } from "vitest";
import { formatResolver, parseResolver, UnsupportedResolver } from "../../src/dns/resolver-address.ts";
import { ResolverOrder } from "../../src/dns/resolver-order.ts";
import { AddressError } from "../../src/lib/listen.ts";

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

  it.each(["tls://dns.google", "https://dns.google/dns-query"])("says that %s is for a later version", (text) => {
    expect(() => parseResolver(text)).toThrow(UnsupportedResolver);
    expect(() => parseResolver(text)).toThrow(/plain UDP and TCP only/);
  });

  it.each(["", "dns.google", "8.8.8", "8.8.8.8:70000", "8.8.8.8:0", "[::1", "8.8.8.8:"])("refuses %j", (text) => {
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
