import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import { parseRoots, type Root } from "../../src/cli/ca-roots.ts";
import { checkDoor } from "../../src/cli/doctor-client-door.ts";
import { makeLeaf, makeRoot, type TestRoot } from "./roots.ts";

const names = ["ghcr.io", "quay.io"];
const ours = makeRoot(names);
const roots = parseRoots(ours.pem) as readonly Root[];

const listening = async (server: Server): Promise<number> => {
  server.listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
};
const showing = (root: TestRoot, times = {}, of: readonly string[] = names) =>
  listening(createTlsServer(makeLeaf(root, of, times), (socket) => void socket.on("error", () => undefined).end()));

const check = (port: number, changes: Partial<Parameters<typeof checkDoor>[0]> = {}) =>
  checkDoor({
    names,
    addressesOf: () => Promise.resolve(["127.0.0.1"]),
    roots,
    timeout: 500,
    url: new URL("http://layover"),
    port,
    ...changes,
  });

describe("Layover's door from a client", () => {
  it("is well", async () => {
    const port = await showing(ours);
    expect(await check(port)).toEqual([
      { check: "tls", status: "ok", text: `127.0.0.1:${port} shows certificates of Layover's CA for 2 names` },
    ]);
  });

  it.each<[string, () => ReturnType<typeof check>, string, RegExp]>([
    [
      "nobody there",
      () => check(1),
      "door",
      /cannot be reached from here: 127\.0\.0\.1:1: nobody listens there \(ghcr\.io, quay\.io\)/,
    ],
    [
      "what takes connections and is silent",
      async () => check(await listening(createServer((socket) => void socket.on("error", () => undefined)))),
      "door",
      /no answer within 0\.5 s/,
    ],
    [
      "what speaks no TLS",
      async () =>
        check(await listening(createServer((socket) => void socket.on("error", () => undefined).end("HTTP/1.1 400\r\n\r\n")))),
      "door",
      /cannot be reached from here/,
    ],
    [
      "the registry's own certificate",
      async () => check(await showing(makeRoot([], { name: "Public CA" }), { name: "Public CA" })),
      "tls",
      /^ghcr\.io, quay\.io: the certificate at .* is from CN=Public CA, not from the CA of http:\/\/layover/,
    ],
    [
      "another Layover's, whose CA has the same name",
      async () => check(await showing(makeRoot(names))),
      "tls",
      /is from CN=Test CA, not from the CA/,
    ],
    [
      "one for a name that the CA is not for",
      async () => check(await showing(ours, {}, ["gcr.io"]), { names: ["gcr.io"] }),
      "tls",
      /^gcr\.io: Layover's CA may not sign for this name/,
    ],
    ["a clock that is behind", async () => check(await showing(ours, { from: 2, until: 3 })), "tls", /clock .* is not valid now/],
    [
      "a clock that is ahead",
      async () => check(await showing(ours, { from: -3, until: -2 })),
      "tls",
      /clock .* is not valid now/,
    ],
  ])("with %s fails", async (_, look, kind, text) => {
    expect(await look()).toEqual([{ check: kind, status: "fail", text: expect.stringMatching(text), mend: expect.any(String) }]);
  });

  it("is well where an intermediate signs, which is shown as well", async () => {
    const top = makeRoot(names, { below: 1 });
    const between = makeRoot(names, { name: "Between", above: { root: top, name: "Test CA" } });
    const { cert, key } = makeLeaf(between, names, { name: "Between" });
    const show = (chain: string) =>
      listening(createTlsServer({ cert: chain, key }, (socket) => void socket.on("error", () => undefined).end()));
    const trusted = { roots: parseRoots(top.pem) as readonly Root[] };
    expect(await check(await show(`${cert}${between.pem}`), trusted)).toMatchObject([{ check: "tls", status: "ok" }]);
    expect(await check(await show(cert), trusted)).toMatchObject([{ check: "tls", status: "fail" }]);
  });

  it("is left alone for names that have no address, and not judged without the CA", async () => {
    expect(await check(1, { addressesOf: () => Promise.resolve([]) })).toEqual([]);
    expect(await check(await showing(makeRoot([])), { roots: [] })).toMatchObject([{ status: "ok" }]);
  });
});
