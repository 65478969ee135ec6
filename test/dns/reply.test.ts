import { decode } from "dns-packet";
import { describe, expect, it } from "vitest";
import { emptyReply, fitUdp, headerReply, udpLimit } from "../../src/dns/reply.ts";
import { RCODE, TYPE } from "../../src/dns/wire.ts";
import { query, question, replyTo } from "./message.ts";

const many = Array.from({ length: 40 }, (_, i) => `10.0.0.${i}`);

describe("replies by hand", () => {
  it("gives back id, opcode, RD and rcode in a bare header", () => {
    const reply = headerReply(question("ghcr.io", TYPE.A, { id: 0xabcd, flags: 0x2900 }), RCODE.NOTIMP);
    expect(reply).toHaveLength(12);
    expect(decode(reply)).toMatchObject({
      id: 0xabcd,
      type: "response",
      opcode: "UPDATE",
      rcode: "NOTIMP",
      flag_rd: true,
      flag_ra: true,
    });
  });

  it("repeats the question in its own case, with CD but not AD, and no OPT that was not asked for", () => {
    const asked = query("gHcR.Io", TYPE.A, { flags: 0x0130 });
    const reply = decode(emptyReply(asked, RCODE.SERVFAIL));
    expect(reply).toMatchObject({
      type: "response",
      rcode: "SERVFAIL",
      flag_ra: true,
      flag_cd: true,
      flag_ad: false,
      additionals: [],
    });
    expect(reply.questions).toEqual([{ name: "gHcR.Io", type: "A", class: "IN" }]);
  });

  it("puts the upper bits of BADVERS into the OPT", () => {
    const reply = decode(emptyReply(query("ghcr.io", TYPE.A, { edns: { do: true } }), RCODE.BADVERS));
    expect(reply.rcode).toBe("NOERROR");
    expect(reply.additionals).toMatchObject([
      { type: "OPT", extendedRcode: 1, ednsVersion: 0, udpPayloadSize: 1232, flag_do: true },
    ]);
  });

  it.each([
    [undefined, 512],
    [0, 512],
    [511, 512],
    [700, 700],
    [1232, 1232],
    [4096, 1232],
    [65_535, 1232],
  ])("a client that states %s gets at most %i octets", (size, limit) => {
    expect(udpLimit(query("ghcr.io", TYPE.A, size === undefined ? {} : { edns: { size } }))).toBe(limit);
  });

  it("cuts what does not fit to the question, says so, and keeps the OPT", () => {
    const plain = query("example.com");
    const large = replyTo(plain.message, many);
    expect(fitUdp(plain, large).length).toBeLessThan(512);
    expect(decode(fitUdp(plain, large))).toMatchObject({ flag_tc: true, rcode: "NOERROR", answers: [], additionals: [] });
    const extended = query("example.com", TYPE.A, { edns: { size: 1232 } });
    expect(fitUdp(extended, large)).toBe(large);
    const small = query("example.com", TYPE.A, { edns: { size: 600 } });
    expect(decode(fitUdp(small, large))).toMatchObject({ flag_tc: true, answers: [], additionals: [{ type: "OPT" }] });
  });
});
