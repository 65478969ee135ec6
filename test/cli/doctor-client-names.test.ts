import { describe, expect, it } from "vitest";
import { asking } from "../../src/cli/doctor-ask.ts";
import { checkNameServers } from "../../src/cli/doctor-client-names.ts";
import { nameServer, type Records, type Ways } from "./name-server.ts";

const names = ["ghcr.io", "quay.io"];
const OURS: Records = { A: ["10.0.0.5"] };
const REAL: Records = { A: ["203.0.113.7"] };
const mend = "set it up";

/** Each on an address of its own and the same port, as name servers are. */
const check = async (...servers: readonly (readonly [Records, Ways?])[]) => {
  const hosts = servers.map((_, i) => `127.0.0.${i + 11}`);
  let port: number | undefined;
  for (const [i, [records, ways]] of servers.entries())
    port = (await nameServer(records, { ...ways, host: hosts[i]!, ...(port !== undefined && { port }) })).port;
  return checkNameServers({
    servers: hosts.map((host) => ({ host, from: "/etc/resolv.conf" })),
    names,
    isOurs: (address) => address === "10.0.0.5",
    ask: asking(1_000),
    mend,
    ...(port !== undefined && { port }),
  });
};

describe("the name servers of a client", () => {
  it("are well", async () => {
    expect(await check([OURS])).toEqual([
      { check: "dns", status: "ok", text: expect.stringMatching(/^127\.0\.0\.11: 2 names lead to Layover, over UDP and TCP/) },
    ]);
    expect(await check([OURS], [OURS])).toMatchObject([{ status: "ok" }]);
  });

  it.each<[string, () => ReturnType<typeof check>, RegExp]>([
    ["that are not there", () => check(), /names no name server/],
    ["that are not Layover", () => check([REAL]), /does not ask Layover: 127\.0\.0\.11 .* answers ghcr\.io \(203\.0\.113\.7\)/],
    ["that know nothing", () => check([{}]), /does not ask Layover: .* ghcr\.io \(no address\)/],
    ["with another beside", () => check([OURS], [REAL]), /a second name server beside Layover: 127\.0\.0\.12 .*203\.0\.113\.7/],
    ["with another before", () => check([REAL], [OURS]), /a second name server beside Layover: 127\.0\.0\.11 /],
    ["with an AAAA leak", () => check([{ ...OURS, AAAA: ["2001:db8::7"] }]), /AAAA leaks ghcr\.io \(2001:db8::7\), quay\.io/],
    ["with an HTTPS leak", () => check([{ ...OURS, HTTPS: [""] }]), /HTTPS record leaks for ghcr\.io, quay\.io/],
    [
      "that leave a name out",
      () => check([OURS, { of: (name) => (name === "quay.io" ? REAL : undefined) }]),
      /leads past Layover: quay\.io \(203\.0\.113\.7\)$/,
    ],
    ["with both addresses", () => check([{ A: ["10.0.0.5", "203.0.113.7"] }]), /does not ask Layover/],
    ["without TCP", () => check([OURS, { tcp: false }]), /DNS over TCP at 127\.0\.0\.11 .*: nobody listens there/],
    ["that are silent", () => check([OURS, { silent: true }]), /does not answer: no answer within 1 s/],
  ])("%s fail", async (_, look, text) => {
    const findings = await look();
    expect(findings).toEqual([{ check: "dns", status: "fail", text: expect.stringMatching(text), mend: expect.any(String) }]);
  });

  it("of which one is silent are slow, which is a warning", async () => {
    expect(await check([OURS], [REAL, { silent: true }])).toMatchObject([
      { status: "warn", text: expect.stringContaining("127.0.0.12 (/etc/resolv.conf) does not answer") },
    ]);
  });
});
