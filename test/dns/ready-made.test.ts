import { decode } from "dns-packet";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Query } from "../../src/dns/prescreen.ts";
import { readyMade } from "../../src/dns/ready-made.ts";
import { TYPE } from "../../src/dns/wire.ts";
import { createZone } from "../../src/dns/zone.ts";
import { HostTable } from "../../src/lib/host-table.ts";
import { query } from "./message.ts";

const NAME = "ghcr.io";
const LISTS = [["10.0.0.1"], ["10.0.0.2"], ["10.0.0.1", "fd00::1"], ["fd00::1"], ["10.0.0.1"]];

const zoneOver = (addressesFor: () => readonly string[]) =>
  createZone({ names: new HostTable([[NAME, { failOpen: true }]]), addressesFor, hijackFor: () => true, healthy: () => true });

const cased = (upper: readonly boolean[], name: string) => Array.from(name, (c, i) => (upper[i] ? c.toUpperCase() : c)).join("");

/** What one client may ask; few enough that the same comes again and again. */
const asked = fc.record({
  name: fc.constantFrom(NAME, `_8443._https.${NAME}`),
  upper: fc.array(fc.boolean(), { maxLength: 3 }),
  type: fc.constantFrom(TYPE.A, TYPE.AAAA, TYPE.HTTPS, TYPE.ANY),
  id: fc.nat(65_535),
  flags: fc.constantFrom(0x0000, 0x0100, 0x0110, 0x0120),
  edns: fc.constantFrom(undefined, {}, { do: true }, { size: 4096 }, { options: Buffer.from([0, 10, 0, 2, 7, 7]) }),
  list: fc.nat(LISTS.length - 1),
});

describe("answers kept ready", () => {
  it("are octet by octet those that would have been made, whatever was asked before and by whom", () => {
    fc.assert(
      fc.property(fc.array(asked, { minLength: 1, maxLength: 200 }), (questions) => {
        let list = 0;
        const warm = zoneOver(() => LISTS[list]!);
        for (const { name, upper, type, id, flags, edns, ...rest } of questions) {
          list = rest.list;
          const one = query(cased(upper, name), type, { id, flags, ...(edns && { edns }) });
          const cold = zoneOver(() => LISTS[list]!);
          expect(warm.answer(one, "10.0.0.9")).toEqual(cold.answer(one, "10.0.0.9"));
        }
      }),
      { numRuns: 60 },
    );
  });

  const counted = () => {
    const made: string[] = [];
    const render = readyMade(({ qname, id }: Query) => {
      made.push(qname);
      return Buffer.from([id >> 8, id & 255, made.length]);
    });
    return { made, render };
  };

  it("are made once for a question and our addresses, and given under each one's id", () => {
    const { made, render } = counted();
    const one = render(query(NAME, TYPE.A, { id: 1 }), ["10.0.0.1"]);
    const two = render(query(NAME, TYPE.A, { id: 0xffee }), ["10.0.0.1"]);
    expect([one, two]).toEqual([Buffer.from([0, 1, 1]), Buffer.from([0xff, 0xee, 1])]);
    render(query(NAME, TYPE.A, { id: 1 }), ["10.0.0.2"]);
    render(query(NAME, TYPE.A, { id: 1, edns: {} }), ["10.0.0.1"]);
    render(query("GHCR.io", TYPE.A, { id: 1 }), ["10.0.0.1"]);
    expect(made).toHaveLength(4);
  });

  it("are nobody's to change: each is a copy", () => {
    const { render } = counted();
    const first = render(query(NAME), ["10.0.0.1"]);
    first.fill(0);
    const second = render(query(NAME, TYPE.A, { id: 2 }), ["10.0.0.1"]);
    second.fill(0);
    expect(render(query(NAME, TYPE.A, { id: 3 }), ["10.0.0.1"])).toEqual(Buffer.from([0, 3, 1]));
  });

  it("are not kept for questions that hardly come again, nor without bound", () => {
    const { made, render } = counted();
    const padded = query(NAME, TYPE.A, { edns: { options: Buffer.from([0, 12, 1, 44, ...Buffer.alloc(300)]) } });
    render(padded, ["10.0.0.1"]);
    render(padded, ["10.0.0.1"]);
    expect(made).toHaveLength(2);
    for (let i = 0; i < 5_000; i += 1) render(query(`n${i}.example`), ["10.0.0.1"]);
    render(query("n0.example"), ["10.0.0.1"]);
    render(query("n4999.example"), ["10.0.0.1"]);
    expect(made).toHaveLength(5_003);
    for (let i = 0; i < 40; i += 1) render(query(NAME), [`10.0.1.${i}`]);
    render(query(NAME), ["10.0.1.0"]);
    expect(made).toHaveLength(5_044);
  });

  it("follow what changes from one query to the next: addresses, health, whom to hijack", () => {
    let addresses = ["10.0.0.1"];
    let well = true;
    const zone = createZone({
      names: new HostTable([[NAME, { failOpen: true }]]),
      addressesFor: () => addresses,
      hijackFor: (client) => client !== "10.0.0.8",
      healthy: () => well,
    });
    const ask = (client = "10.0.0.9") => {
      const reply = zone.answer(query(NAME), client);
      return Buffer.isBuffer(reply) ? decode(reply).answers.map(({ data }) => data) : reply;
    };
    expect(ask()).toEqual(["10.0.0.1"]);
    expect(ask("10.0.0.8")).toBeUndefined();
    addresses = ["10.0.0.2"];
    expect(ask()).toEqual(["10.0.0.2"]);
    well = false;
    expect(ask()).toBeUndefined();
    well = true;
    expect(ask()).toEqual(["10.0.0.2"]);
    addresses = [];
    expect(ask()).toBeUndefined();
  });
});
