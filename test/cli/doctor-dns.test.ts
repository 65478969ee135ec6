import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { asking } from "../../src/cli/doctor-ask.ts";
import { checkNames, checkResolvers, checkSystemResolver, firstNameserver } from "../../src/cli/doctor-dns.ts";
import { tlsFake } from "../dns/encrypted-resolver.ts";
import { replyTo } from "../dns/message.ts";
import { rootPem } from "../upstream/secure.ts";
import { answerTo, nameServer, type Records } from "./name-server.ts";

const isOurs = (address: string) => address === "10.0.0.5";
const ask = asking(1_000);
const names = ["ghcr.io", "quay.io"];
const look = async (...args: Parameters<typeof nameServer>) =>
  checkNames({ server: await nameServer(...args), names, isOurs, ask });
const OURS: Records = { A: ["10.0.0.5"] };

describe("names", () => {
  it("are well", async () => {
    expect(await look(OURS)).toEqual([
      { check: "dns", status: "ok", text: expect.stringMatching(/answers 2 names with 10\.0\.0\.5, over UDP and TCP/) },
    ]);
  });

  it.each([
    ["the real address", { A: ["203.0.113.7"] }, /ghcr\.io is answered with 203\.0\.113\.7, which is not Layover/],
    ["no address", {}, /has no address \(rcode 0\)/],
    ["an AAAA leak", { A: ["10.0.0.5"], AAAA: ["2001:db8::7"] }, /AAAA leaks 2001:db8::7/],
    ["an HTTPS leak", { A: ["10.0.0.5"], HTTPS: [""] }, /HTTPS record leaks/],
  ])("with %s fail", async (_, records, text) => {
    const findings = await look(records);
    expect(findings).toHaveLength(2);
    expect(findings[0]).toMatchObject({ status: "fail", text: expect.stringMatching(text), mend: expect.any(String) });
  });

  it("fail without TCP", async () => {
    expect(await look(OURS, { tcp: false })).toEqual([
      expect.objectContaining({
        status: "fail",
        text: expect.stringMatching(/over TCP .* nobody listens there/),
        mend: expect.stringContaining("53/tcp"),
      }),
    ]);
  });

  it("fail once when nobody answers", async () => {
    const server = await nameServer(OURS, { tcp: false });
    server.close();
    expect(await checkNames({ server, names, isOurs, ask })).toEqual([
      expect.objectContaining({ status: "fail", text: expect.stringContaining("nobody listens there") }),
    ]);
    const findings = await checkNames({ server: await nameServer(OURS, { silent: true }), names, isOurs, ask: asking(200) });
    expect(findings).toEqual([expect.objectContaining({ text: expect.stringContaining("no answer within 0.2 s") })]);
  });
});

describe("resolvers", () => {
  const check = async (...args: Parameters<typeof nameServer>) =>
    (
      await checkResolvers({
        resolvers: [{ kind: "plain", ...(await nameServer(...args)) }],
        name: "ghcr.io",
        isOurs,
        ask: asking(300),
      })
    )[0];
  it("are well", async () => expect(await check({ A: ["203.0.113.7"] })).toMatchObject({ status: "ok" }));
  it("are asked over TLS where they are, and what is wrong with their certificate is said", async () => {
    await using resolver = await tlsFake(({ message, send }) => send(replyTo(message, ["203.0.113.7"])), ["127.0.0.1"]);
    const at = { kind: "tls", host: "127.0.0.1", port: resolver.port } as const;
    const found = async (trust: string | undefined) =>
      (await checkResolvers({ resolvers: [at], name: "ghcr.io", isOurs, ask: asking(2_000, { trust, plain: [] }) }))[0];
    expect(await found(rootPem)).toMatchObject({
      status: "ok",
      text: `tls://127.0.0.1:${resolver.port} answers ghcr.io with 203.0.113.7`,
    });
    expect(await found(undefined)).toMatchObject({ status: "fail", text: expect.stringContaining("certificate") });
  });
  it("that refuse", async () =>
    expect(await check({}, { rcode: 5 })).toMatchObject({ status: "fail", text: expect.stringContaining("refuses") }));
  it("that fail", async () => expect(await check({}, { rcode: 2 })).toMatchObject({ status: "warn" }));
  it("that are silent", async () =>
    expect(await check({}, { silent: true })).toMatchObject({ status: "fail", text: expect.stringContaining("no answer") }));
  it("that ask Layover", async () =>
    expect(await check(OURS)).toMatchObject({ status: "fail", text: expect.stringContaining("it asks Layover") }));
  it("of a zone of its own need know no address there", async () => {
    const zone = async (...args: Parameters<typeof nameServer>) =>
      (
        await checkResolvers({
          resolvers: [{ kind: "plain", ...(await nameServer(...args)) }],
          name: "corp.example",
          isZone: true,
          isOurs,
          ask: asking(300),
        })
      )[0];
    expect(await zone({})).toMatchObject({ status: "ok", text: expect.stringMatching(/answers for corp\.example$/) });
    expect(await zone({}, { rcode: 5 })).toMatchObject({ status: "fail", mend: expect.stringContaining('"corp.example"') });
    expect(await zone({}, { silent: true })).toMatchObject({ status: "fail" });
    expect(await zone(OURS)).toMatchObject({ status: "fail", text: expect.stringContaining("it asks Layover") });
  });
  it("that know nothing", async () => expect(await check({}, { rcode: 3 })).toMatchObject({ status: "warn" }));
});

describe("this machine's own resolver", () => {
  const check = (resolvConf: string, addresses: string[]) =>
    checkSystemResolver({
      resolvConf,
      name: "ghcr.io",
      isOurs,
      ask: () => Promise.resolve({ rcode: 0, addresses, count: addresses.length }),
    });
  it("is the first in resolv.conf", () => {
    expect(
      firstNameserver("# nameserver 1.1.1.1\n;nameserver 2.2.2.2\nsearch x\n nameserver\t10.0.0.5 # x\nnameserver 3.3.3.3"),
    ).toBe("10.0.0.5");
    expect(firstNameserver("nameserver fe80::1%eth0")).toBe("fe80::1");
    expect(firstNameserver("")).toBeUndefined();
  });
  it("may ask Layover or not", async () => {
    expect(await check("nameserver 10.0.0.5", ["10.0.0.5"])).toMatchObject({ status: "ok" });
    expect(await check("nameserver 1.1.1.1", ["203.0.113.7"])).toMatchObject({
      status: "warn",
      text: expect.stringContaining("pulls past Layover"),
    });
    expect(await check("", [])).toMatchObject({ status: "warn" });
  });
});

it("takes no other's answer for its own", async () => {
  const udp = createSocket("udp4").bind(0, "127.0.0.1");
  onTestFinished(() => void udp.close());
  await once(udp, "listening");
  udp.on("message", (query, from) => {
    const other = answerTo(query, { A: ["203.0.113.66"] });
    other.writeUInt16BE((query.readUInt16BE(0) + 1) & 0xffff, 0);
    for (const bytes of [Buffer.alloc(0), Buffer.of(1), query, other, answerTo(query, OURS)])
      udp.send(bytes, from.port, from.address);
  });
  const server = { host: "127.0.0.1", port: udp.address().port };
  expect(await ask({ server, name: "ghcr.io", type: "A", transport: "udp" })).toMatchObject({ addresses: ["10.0.0.5"] });
});

it("gives up on a TCP server that closes, or talks nonsense", async () => {
  for (const bytes of [Buffer.alloc(0), Buffer.of(0, 12, ...new Uint8Array(12))]) {
    const server = createServer((socket) => socket.on("error", () => undefined).end(bytes)).listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await expect(ask({ server: { host: "127.0.0.1", port }, name: "x", type: "A", transport: "tcp" })).rejects.toThrow();
  }
});
