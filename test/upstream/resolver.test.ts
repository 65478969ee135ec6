import { decode } from "dns-packet";
import { describe, expect, it, onTestFinished } from "vitest";
import { plainNames } from "../../src/upstream/plain-names.ts";
import { UpstreamResolver } from "../../src/upstream/resolver.ts";
import { type FakeResolver, fakeResolver } from "../dns/resolver.ts";
import { failureOf } from "./asking.ts";
import { answering, type Zone } from "./names.ts";

const resolverOver = async (zone: Zone, isOurs: (address: string, port: number) => boolean = () => false) => {
  const fake = await fakeResolver(answering(zone));
  let isGone = false;
  const stop = async () => {
    if (!isGone) await fake[Symbol.asyncDispose]();
    isGone = true;
  };
  onTestFinished(stop);
  const clock = { now: 1_000 };
  const resolver = new UpstreamResolver({ names: plainNames([fake.text]), isOurs, now: () => clock.now });
  return { fake, resolver, clock, stop, asked: (type: string) => countOf(fake, type) };
};

const countOf = ({ asked }: FakeResolver, type: string) =>
  asked.filter(({ message }) => decode(message).questions[0]!.type === type).length;

const FOUR = { address: "192.0.2.1", family: 4 };
const SIX = { address: "2001:db8::1", family: 6 };
const both = (): Zone => ({ A: [FOUR.address], AAAA: [SIX.address] });

describe("the resolver of upstreams", () => {
  it("knows both families, IPv4 first", async () => {
    const { resolver } = await resolverOver(both());
    expect(await resolver.resolve("registry.example", 443)).toEqual([FOUR, SIX]);
  });

  it("asks a zone's own resolvers for what lies in it", async () => {
    await using outer = await fakeResolver(answering({ A: ["192.0.2.9"], AAAA: [] }));
    await using inner = await fakeResolver(answering(both()));
    const splits = [{ zone: "corp.example", resolvers: [inner.text] }];
    const resolver = new UpstreamResolver({ names: plainNames([outer.text], splits), isOurs: () => false });
    expect(await resolver.resolve("registry.corp.example", 443)).toEqual([FOUR, SIX]);
    expect(await resolver.resolve("registry.example", 443)).toEqual([{ address: "192.0.2.9", family: 4 }]);
    expect(outer.asked.map(({ message }) => decode(message).questions[0]!.name)).not.toContain("registry.corp.example");
  });

  it("lives with IPv6 alone", async () => {
    const { resolver } = await resolverOver({ AAAA: [SIX.address] });
    expect(await resolver.resolve("registry.example", 443)).toEqual([SIX]);
  });

  it("does not wait long for an IPv6 answer that never comes", async () => {
    const { resolver } = await resolverOver({ ...both(), silent: ["AAAA"] });
    const began = performance.now();
    expect(await resolver.resolve("registry.example", 443)).toEqual([FOUR]);
    expect(performance.now() - began).toBeLessThan(900);
  });

  it("asks once for all who want to know, and again after the time to live", async () => {
    const { resolver, clock, asked } = await resolverOver(both());
    await Promise.all(Array.from({ length: 20 }, () => resolver.resolve("registry.example", 443)));
    await resolver.resolve("registry.example", 443);
    expect(asked("A")).toBe(1);
    clock.now += 61_000;
    await resolver.resolve("registry.example", 443);
    expect(asked("A")).toBe(2);
  });

  it("goes on with what it knew when the resolver is gone, hardly waiting, and asks again later", async () => {
    const zone = both();
    const { resolver, clock, asked } = await resolverOver(zone);
    await resolver.resolve("registry.example", 443);
    clock.now += 3_600_000;
    zone.silent = ["A", "AAAA"];
    const began = performance.now();
    for (let round = 0; round < 10; round += 1) expect(await resolver.resolve("registry.example", 443)).toEqual([FOUR, SIX]);
    expect(performance.now() - began).toBeLessThan(900);
    expect(asked("A")).toBeLessThanOrEqual(3);
    zone.silent = [];
    zone.A = ["192.0.2.2"];
    clock.now += 6_000;
    await expect
      .poll(() => resolver.resolve("registry.example", 443), { timeout: 10_000 })
      .toContainEqual({ address: "192.0.2.2", family: 4 });
  });

  it.each(["NXDOMAIN", "SERVFAIL"] as const)("goes on with what it knew through %s, for a day", async (rcode) => {
    const zone = both();
    const { resolver, clock } = await resolverOver(zone);
    await resolver.resolve("registry.example", 443);
    zone.rcode = rcode;
    clock.now += 23 * 3_600_000;
    expect(await resolver.resolve("registry.example", 443)).toEqual([FOUR, SIX]);
    clock.now += 2 * 3_600_000;
    expect((await failureOf(resolver.resolve("registry.example", 443))).code).toBe("UPSTREAM_UNREACHABLE");
  });

  it("goes on with what it knew when its port is closed", async () => {
    const { resolver, clock, stop } = await resolverOver(both());
    await resolver.resolve("registry.example", 443);
    await stop();
    clock.now += 3_600_000;
    expect(await resolver.resolve("registry.example", 443)).toEqual([FOUR, SIX]);
  });

  it("says that nobody knows a name", async () => {
    const { resolver } = await resolverOver({ rcode: "NXDOMAIN" });
    const failure = await failureOf(resolver.resolve("nowhere.example", 443));
    expect(failure).toMatchObject({ code: "UPSTREAM_UNREACHABLE", message: "no resolver knows nowhere.example" });
  });

  it("refuses addresses that are our own, at our own ports only", async () => {
    const isOurs = (address: string, port: number) => address === FOUR.address && port === 443;
    const { resolver } = await resolverOver({ A: [FOUR.address] }, isOurs);
    expect((await failureOf(resolver.resolve("registry.example", 443))).code).toBe("LOOP_DETECTED");
    expect(await resolver.resolve("registry.example", 8443)).toEqual([FOUR]);
    expect((await failureOf(resolver.resolve(FOUR.address, 443))).code).toBe("LOOP_DETECTED");
  });

  it("leaves our own address out where there are others", async () => {
    const { resolver } = await resolverOver(both(), (address) => address === FOUR.address);
    expect(await resolver.resolve("registry.example", 443)).toEqual([SIX]);
  });

  it("asks nobody for addresses and for localhost", async () => {
    const { resolver, fake } = await resolverOver({});
    expect(await resolver.resolve("[2001:db8::7]", 443)).toEqual([{ address: "2001:db8::7", family: 6 }]);
    expect(await resolver.resolve("localhost", 443)).toContainEqual({ address: "127.0.0.1", family: 4 });
    expect(fake.asked).toHaveLength(0);
  });

  it("answers a socket in the form that it asks for", async () => {
    const { resolver } = await resolverOver(both());
    const lookup = resolver.lookupFor(443);
    const ask = (options: object) =>
      new Promise((resolve) =>
        lookup("registry.example", options, (error, address, family) => resolve([error, address, family])),
      );
    expect(await ask({ all: true })).toEqual([null, [FOUR, SIX], undefined]);
    expect(await ask({ all: true, family: 6 })).toEqual([null, [SIX], undefined]);
    expect(await ask({ family: 6 })).toEqual([null, SIX.address, 6]);
    expect(await ask({})).toEqual([null, FOUR.address, 4]);
  });
});
