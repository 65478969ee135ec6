import { decode } from "dns-packet";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LOCAL_ZONES, withLocalNames } from "../../src/dns/local-names.ts";
import { prescreen } from "../../src/dns/prescreen.ts";
import { reverseName } from "../../src/dns/reverse-name.ts";
import { TYPE } from "../../src/dns/wire.ts";
import type { Zone } from "../../src/dns/zone.ts";
import { openDoor } from "./door.ts";
import { header, query, question, word } from "./message.ts";
import { askUdp } from "./resolver.ts";

const nothing: Zone = { answer: () => undefined };
const zoneOver = (zone: Zone = nothing, asked: readonly string[] = []) =>
  withLocalNames(zone, {
    addresses: () => ["10.0.0.5", "fd00::5", "203.0.113.9"],
    name: "layover.corp.example",
    isAsked: (name) => asked.includes(name),
  });
const ask = async (name: string, type: number = TYPE.A, options = {}, zone = zoneOver()) => {
  const reply = await zone.answer(query(name, type, options), "10.0.0.1");
  return reply && decode(reply);
};

describe("a reverse name", () => {
  it.each([
    ["10.0.0.5", "5.0.0.10.in-addr.arpa"],
    ["::ffff:10.0.0.5", "5.0.0.10.in-addr.arpa"],
    ["2001:db8::567:89ab", "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"],
    ["::1", `1.${"0.".repeat(31)}ip6.arpa`],
    ["fe80::", `${"0.".repeat(28)}0.8.e.f.ip6.arpa`],
  ])("of %s is %s", (address, name) => expect(reverseName(address)).toBe(name));
});

describe("names of the network itself", () => {
  it("our own addresses have our name", async () => {
    for (const name of ["5.0.0.10.IN-addr.arpa", reverseName("fd00::5"), reverseName("203.0.113.9")]) {
      const reply = await ask(name, TYPE.PTR, { id: 77, edns: { do: true } });
      expect(reply).toMatchObject({ id: 77, rcode: "NOERROR", flag_aa: true, flag_ra: true, flag_rd: true, authorities: [] });
      expect(reply!.answers).toMatchObject([{ name, type: "PTR", ttl: 30, data: "layover.corp.example" }]);
      expect(reply!.additionals).toMatchObject([{ type: "OPT", flag_do: true }]);
      expect(await ask(name, TYPE.TXT)).toMatchObject({ rcode: "NOERROR", answers: [], authorities: [{ type: "SOA", name }] });
    }
  });

  it.each([
    ["7.0.0.10.in-addr.arpa", "10.in-addr.arpa"],
    ["1.1.20.172.in-addr.arpa", "20.172.in-addr.arpa"],
    ["1.1.100.100.in-addr.arpa", "100.100.in-addr.arpa"],
    [reverseName("fd00::7"), "d.f.ip6.arpa"],
    [reverseName("fe80::7"), "8.e.f.ip6.arpa"],
    ["Printer.LOCAL", "LOCAL"],
    ["wpad", "wpad"],
    ["My Printer._ipp._tcp.local", "local"],
  ])("%s does not exist", async (name, apex) => {
    const reply = await ask(name, TYPE.A);
    expect(reply).toMatchObject({ rcode: "NXDOMAIN", flag_aa: true, answers: [], questions: [{ name }] });
    expect(reply!.authorities).toMatchObject([
      { type: "SOA", name: apex, ttl: 30, data: { mname: apex, rname: "nobody.invalid", minimum: 30 } },
    ]);
  });

  it.each([
    ["1.1.32.172.in-addr.arpa", TYPE.PTR],
    ["8.8.8.8.in-addr.arpa", TYPE.PTR],
    ["notlocal.example", TYPE.A],
    ["local.example", TYPE.A],
    ["com", TYPE.DS],
    ["com", TYPE.NS],
    ["local", TYPE.DS],
    ["10.in-addr.arpa", TYPE.DS],
    ["", TYPE.NS],
  ])("%j with type %i is for the resolvers", async (name, type) => expect(await ask(name, type)).toBeUndefined());

  it("are asked of who knows them, our own addresses never", async () => {
    const zone = zoneOver(nothing, ["7.0.0.10.in-addr.arpa", "5.0.0.10.in-addr.arpa", "host"]);
    expect(await ask("7.0.0.10.in-addr.arpa", TYPE.PTR, {}, zone)).toBeUndefined();
    expect(await ask("host", TYPE.A, {}, zone)).toBeUndefined();
    expect((await ask("5.0.0.10.in-addr.arpa", TYPE.PTR, {}, zone))!.answers).toHaveLength(1);
  });

  it("come after the zone, also when that has to think", async () => {
    const own = Buffer.concat([header(1, 0x8180, [0, 0, 0, 0])]);
    expect(await zoneOver({ answer: () => own }).answer(query("x.local"), "")).toBe(own);
    expect(await zoneOver({ answer: async () => own }).answer(query("x.local"), "")).toBe(own);
    expect(await ask("x.local", TYPE.A, {}, zoneOver({ answer: async () => undefined }))).toMatchObject({ rcode: "NXDOMAIN" });
  });

  it("whatever octets they have, the answer is whole and for the very question", () => {
    const label = fc
      .uint8Array({ minLength: 1, maxLength: 20 })
      .map((octets) => Buffer.concat([Buffer.of(octets.length), octets]));
    const names = fc.tuple(fc.array(label, { maxLength: 4 }), fc.constantFrom(...LOCAL_ZONES));
    fc.assert(
      fc.property(names, fc.constantFrom(TYPE.A, TYPE.PTR, TYPE.SOA, 65_400), ([labels, apex], type) => {
        const name = Buffer.concat([...labels, question(apex).subarray(12, -4)]);
        const message = Buffer.concat([header(5, 0x0100, [1, 0, 0, 0]), name, word(type), word(1)]);
        const screened = prescreen(message);
        if (screened.verdict !== "query") return;
        const reply = zoneOver().answer(screened.query, "10.0.0.1") as Buffer;
        expect(reply.subarray(12, message.length)).toEqual(message.subarray(12));
        expect(decode(reply).authorities).toMatchObject([{ type: "SOA", name: apex, data: { mname: apex } }]);
      }),
    );
  });

  it("are answered at the door", async () => {
    const zone = zoneOver();
    await using door = await openDoor({ zone });
    expect(decode(await askUdp(door.address, question("a.local")))).toMatchObject({ rcode: "NXDOMAIN" });
    expect(decode(await askUdp(door.address, question("a.example"))).answers).toHaveLength(1);
  });
});
