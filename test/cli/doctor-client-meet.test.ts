import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Ask } from "../../src/cli/doctor-ask.ts";
import { meet } from "../../src/cli/doctor-client-meet.ts";
import { emptyFolder, layover } from "./command.ts";
import { makeRoot } from "./roots.ts";

const root = makeRoot(["ghcr.io"]);
const HELLO = JSON.stringify({ names: ["ghcr.io", "*.corp.example"], own: ["layover"], fingerprints: [] });
const PAGES: Record<string, string> = { "/client.json": HELLO, "/ca.crt": root.pem, "/readyz": '{"ready":true,"notes":[]}' };

const door = async (answer: (response: ServerResponse, path: string) => void) => {
  const server = createServer((request, response) => answer(response, request.url!)).listen(0, "127.0.0.1");
  onTestFinished(() => server.close().closeAllConnections());
  await once(server, "listening");
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
};
const ask: Ask = ({ name, type }) =>
  Promise.resolve({ rcode: 0, addresses: name === "layover" && type === "A" ? ["10.0.0.5"] : [], count: 1 });
const met = (url: URL) => meet({ url, names: ["quay.io"], ask, timeout: 500 });
const pages = (changes: Record<string, string> = {}, more: (response: ServerResponse, path: string) => void = () => undefined) =>
  door((response, path) => {
    more(response, path);
    response.end({ ...PAGES, ...changes }[path]);
  });

describe("Layover, as a client meets it", () => {
  it("is well, and says what it is for and where", async () => {
    const { names, addresses, roots, findings } = await met(await pages());
    expect(names).toEqual(["ghcr.io"]);
    expect(addresses).toEqual(["127.0.0.1", "10.0.0.5"]);
    expect(roots.map(({ fingerprint }) => fingerprint)).toEqual([root.certificate.fingerprint256]);
    expect(findings).toEqual([
      { check: "layover", status: "ok", text: expect.stringMatching(/is ready$/) },
      { check: "clock", status: "ok", text: "agrees with Layover's" },
    ]);
  });

  it("may have another clock", async () => {
    const url = await pages({}, (response) => response.setHeader("date", new Date(Date.now() - 3_600_000).toUTCString()));
    expect((await met(url)).findings).toMatchObject([
      { status: "ok" },
      { check: "clock", status: "fail", text: "is off by -60 minutes from Layover's" },
    ]);
  });

  it("may not be well", async () => {
    const url = await pages({ "/readyz": '{"ready":false,"notes":["no disk"]}' }, (response, path) => {
      if (path === "/readyz") response.statusCode = 503;
    });
    expect((await met(url)).findings[0]).toMatchObject({
      check: "layover",
      status: "fail",
      text: expect.stringMatching(/no disk$/),
    });
  });

  it("may be gone round on somebody's word", async () => {
    const url = await pages(
      { "/readyz": '{"ready":false,"reason":"bypass","notes":["bypass: names lead elsewhere"]}' },
      (response, path) => {
        if (path === "/readyz") response.statusCode = 503;
      },
    );
    expect((await met(url)).findings[0]).toMatchObject({ status: "warn", mend: expect.stringContaining("layover bypass off") });
  });

  it.each<[string, () => Promise<URL>, RegExp]>([
    ["has no address", () => Promise.resolve(new URL("http://layover.invalid")), /layover\.invalid has no address here/],
    [
      "is not there",
      () => Promise.resolve(new URL("http://127.0.0.1:2")),
      /does not answer as Layover does: nobody listens there/,
    ],
    ["is silent", () => door(() => undefined), /does not answer as Layover does/],
    ["is something else", () => door((response) => response.writeHead(404).end()), /is answered 404/],
    ["is a captive portal", () => door((response) => response.writeHead(302, { location: "/" }).end()), /does not answer as/],
    ["says what is no JSON", () => pages({ "/client.json": "<html>" }), /does not answer as/],
    ["says what is no name", () => pages({ "/client.json": '{"names":["a b"],"own":[]}' }), /is not what Layover says/],
    ["has no certificate", () => pages({ "/ca.crt": "none" }), /holds no certificate/],
    ["does not end", () => pages({ "/ca.crt": "x".repeat(2 ** 20 + 1) }), /does not end/],
  ])("that %s is told of, and the names of the configuration are looked at", async (_, where, text) => {
    const { names, roots, findings } = await met(await where());
    expect([names, roots]).toEqual([["quay.io"], []]);
    expect(findings).toEqual([
      { check: "layover", status: "fail", text: expect.stringMatching(text), mend: expect.stringContaining("--server http://") },
    ]);
  });
});

describe("doctor --from client", () => {
  it("says by its exit status that something fails, for programs in JSON, and refuses what it does not know", async () => {
    const server = ["--server", "http://127.0.0.1:1"];
    const { code, stdout } = await layover(["doctor", "--from", "client", "--json", ...server], emptyFolder());
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toEqual(
      expect.arrayContaining([expect.objectContaining({ check: "layover", status: "fail", mend: expect.any(String) })]),
    );
    expect((await layover(["doctor", "--from", "elsewhere"], emptyFolder())).code).not.toBe(0);
  });
});
