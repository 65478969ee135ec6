import { type Decoded, decode } from "dns-packet";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TYPE } from "../../src/dns/wire.ts";
import { createZone, type ZoneOptions } from "../../src/dns/zone.ts";
import { HostTable } from "../../src/lib/host-table.ts";
import { type QuestionOptions, query } from "./message.ts";

const CLIENT = "10.0.0.9";
const names = new HostTable([
  ["ghcr.io", { failOpen: true }],
  ["hosted.example", { failOpen: false }],
  ["layover", { failOpen: true }],
]);
const zoneWith = (given: Partial<ZoneOptions> = {}) =>
  createZone({ names, addressesFor: () => ["10.0.0.1", "fd00::1"], hijackFor: () => true, healthy: () => true, ...given });

const ask = async (zone: ReturnType<typeof zoneWith>, name: string, type: number = TYPE.A, options: QuestionOptions = {}) => {
  const reply = await zone.answer(query(name, type, options), CLIENT);
  return reply && decode(reply);
};

const NOT_EMPTY = ["A", "AAAA", "ANY", "OPT", "TKEY", "TSIG", "AXFR", "IXFR"];
const EMPTY_TYPES = Object.entries(TYPE).filter(([name]) => !NOT_EMPTY.includes(name));

const soaOf = (reply: Decoded | undefined) => reply?.authorities.map(({ name, type, ttl }) => ({ name, type, ttl }));

describe("the zone", () => {
  it("answers A and AAAA with our addresses, and says that it may be asked", async () => {
    const zone = zoneWith();
    const a = await ask(zone, "ghcr.io");
    expect(a).toMatchObject({
      id: 0x1234,
      type: "response",
      rcode: "NOERROR",
      flag_aa: true,
      flag_ra: true,
      flag_rd: true,
      flag_ad: false,
      flag_tc: false,
    });
    expect(a?.answers).toMatchObject([{ name: "ghcr.io", type: "A", class: "IN", ttl: 30, data: "10.0.0.1" }]);
    expect(a?.additionals).toEqual([]);
    expect((await ask(zone, "ghcr.io", TYPE.AAAA))?.answers).toMatchObject([{ type: "AAAA", ttl: 30, data: "fd00::1" }]);
  });

  it.each<[string, number]>([...EMPTY_TYPES, ["TYPE65400", 65_400]])(
    "has nothing of type %s, and says for how long",
    async (_, type) => {
      const reply = await ask(zoneWith(), "ghcr.io", type);
      expect(reply).toMatchObject({ rcode: "NOERROR", answers: [] });
      expect(soaOf(reply)).toEqual([{ name: "ghcr.io", type: "SOA", ttl: 30 }]);
      expect(reply?.authorities[0]?.data).toMatchObject({ minimum: 30 });
    },
  );

  it("has no AAAA without an address of that family, and no A either", async () => {
    const four = await ask(zoneWith({ addressesFor: () => ["10.0.0.1"] }), "ghcr.io", TYPE.AAAA);
    expect(four).toMatchObject({ rcode: "NOERROR", answers: [], authorities: [{ type: "SOA" }] });
    const six = await ask(zoneWith({ addressesFor: async () => ["fd00::1"] }), "ghcr.io", TYPE.A);
    expect(six).toMatchObject({ rcode: "NOERROR", answers: [], authorities: [{ type: "SOA" }] });
  });

  it("answers ANY with the addresses alone", async () => {
    expect((await ask(zoneWith(), "ghcr.io", TYPE.ANY))?.answers.map(({ type }) => type)).toEqual(["A", "AAAA"]);
  });

  it("answers below a wildcard in every type, but for what is taken out and what no host can be called", async () => {
    const below = { failOpen: true };
    const table = new HostTable([
      ["*.x.example", below],
      ["out.x.example", false],
      ["*.no.x.example", false],
    ]);
    const zone = zoneWith({ names: table });
    expect((await ask(zone, "A.b.X.example"))?.answers).toMatchObject([{ name: "A.b.X.example", data: "10.0.0.1" }]);
    expect((await ask(zone, "a.x.example", TYPE.AAAA))?.answers).toMatchObject([{ data: "fd00::1" }]);
    for (const type of [TYPE.HTTPS, TYPE.DS, TYPE.DNSKEY, TYPE.NS, TYPE.CNAME])
      expect(soaOf(await ask(zone, "a.x.example", type))).toEqual([{ name: "a.x.example", type: "SOA", ttl: 30 }]);
    expect(soaOf(await ask(zone, "_8443._https.a.x.example", TYPE.HTTPS))).toMatchObject([{ name: "a.x.example" }]);
    for (const name of ["x.example", "out.x.example", "a.no.x.example", "_acme-challenge.a.x.example", "_8443._https.x.example"])
      expect(await ask(zone, name)).toBeUndefined();
    expect(await ask(zone, "a b.x.example")).toBeUndefined();
  });

  it("owns the SVCB names of other ports", async () => {
    for (const type of [TYPE.HTTPS, TYPE.SVCB, TYPE.A]) {
      const reply = await ask(zoneWith(), "_8443._https.GHCR.io", type);
      expect(reply).toMatchObject({ rcode: "NOERROR", answers: [] });
      expect(reply?.authorities[0]?.name.toLowerCase()).toBe("ghcr.io");
    }
  });

  it.each(["example.com", "www.ghcr.io", "xghcr.io", "ghcr.io.example.com", "io", "", "_dmarc.ghcr.io"])(
    "leaves %j to the resolvers",
    async (name) => {
      expect(await ask(zoneWith(), name)).toBeUndefined();
    },
  );

  it("does not take a dot within a label for one between labels", async () => {
    const asked = { ...query("ghcr.io"), qname: "ghcr\\.io" };
    expect(await zoneWith().answer(asked, CLIENT)).toBeUndefined();
    expect(await zoneWith().answer({ ...asked, qname: "a\\.resolver.arpa" }, CLIENT)).toBeUndefined();
  });

  it("hides the resolvers' own DoH from everybody, Firefox's canary from the hijacked", async () => {
    const away = zoneWith({ hijackFor: () => false });
    for (const zone of [zoneWith(), away]) {
      const discovery = await ask(zone, "_dns.resolver.arpa", TYPE.SVCB);
      expect(discovery).toMatchObject({ rcode: "NOERROR", answers: [] });
      expect(soaOf(discovery)).toEqual([{ name: "resolver.arpa", type: "SOA", ttl: 30 }]);
    }
    for (const type of [TYPE.A, TYPE.AAAA]) {
      expect(await ask(zoneWith(), "use-application-dns.net", type)).toMatchObject({
        rcode: "NXDOMAIN",
        authorities: [{ type: "SOA" }],
      });
      expect(await ask(away, "use-application-dns.net", type)).toBeUndefined();
    }
    expect(await ask(zoneWith(), "use-application-dns.net", TYPE.TXT)).toBeUndefined();
  });

  it("leaves clients alone that are not to be hijacked", async () => {
    expect(await ask(zoneWith({ hijackFor: (client) => client !== CLIENT }), "ghcr.io")).toBeUndefined();
    expect(await ask(zoneWith({ addressesFor: () => undefined }), "hosted.example")).toBeUndefined();
  });

  it("fails open where that is allowed, as long as the front end is not well", async () => {
    let well = false;
    const zone = zoneWith({ healthy: () => well });
    expect(await ask(zone, "ghcr.io", TYPE.HTTPS)).toBeUndefined();
    expect((await ask(zone, "hosted.example"))?.answers).toMatchObject([{ data: "10.0.0.1" }]);
    well = true;
    expect((await ask(zone, "ghcr.io"))?.answers).toMatchObject([{ data: "10.0.0.1" }]);
  });

  it("without an address to give, fails open or says that it failed", async () => {
    const zone = zoneWith({ addressesFor: () => [] });
    expect(await ask(zone, "ghcr.io")).toBeUndefined();
    expect(await ask(zone, "hosted.example")).toMatchObject({ rcode: "SERVFAIL", answers: [] });
  });

  it("answers EDNS with EDNS", async () => {
    const edns = { size: 4096, do: true, options: Buffer.from([0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]) };
    for (const type of [TYPE.A, TYPE.MX]) {
      const reply = await ask(zoneWith(), "ghcr.io", type, { edns });
      expect(reply?.additionals).toMatchObject([
        { name: ".", type: "OPT", udpPayloadSize: 1232, ednsVersion: 0, extendedRcode: 0, flag_do: true },
      ]);
    }
    expect((await ask(zoneWith(), "ghcr.io", TYPE.A, { edns: {} }))?.additionals).toMatchObject([
      { type: "OPT", flag_do: false },
    ]);
  });

  it("keeps every octet of the question, in any case, and points the answer at it", async () => {
    const cased = fc.array(fc.boolean(), { minLength: 7, maxLength: 7 });
    await fc.assert(
      fc.asyncProperty(
        cased,
        fc.nat(65_535),
        fc.constantFrom(TYPE.A, TYPE.AAAA, TYPE.HTTPS, TYPE.ANY),
        async (upper, id, type) => {
          const name = Array.from("ghcr.io", (c, i) => (upper[i] ? c.toUpperCase() : c)).join("");
          const asked = query(name, type, { id });
          const reply = (await zoneWith().answer(asked, CLIENT))!;
          expect(reply.subarray(12, asked.questionEnd)).toEqual(asked.question);
          const { answers, authorities } = decode(reply);
          for (const record of [...answers, ...authorities]) expect(record.name).toBe(name);
        },
      ),
    );
  });
});
