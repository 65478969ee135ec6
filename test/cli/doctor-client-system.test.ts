import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkSystem, nameserversOf, parseResolved, readSystem } from "../../src/cli/doctor-client-system.ts";
import { machine } from "./folders.ts";

const names = ["ghcr.io", "quay.io"];
const look = async (files: Record<string, string>) => {
  const system = await readSystem(machine(files), names);
  const findings = checkSystem(system, names, (address) => address === "10.0.0.5");
  return { servers: system.servers.map(({ host }) => host), findings };
};
const PLAIN = { "etc/resolv.conf": "search corp\nnameserver 10.0.0.5\n" };
const STUB = {
  "etc/resolv.conf": "->../run/systemd/resolve/stub-resolv.conf",
  "run/systemd/resolve/stub-resolv.conf": "# stub\nnameserver 127.0.0.53\noptions edns0 trust-ad\n",
  "run/systemd/resolve/resolv.conf": "nameserver 10.0.0.5\nnameserver 192.0.2.1\n",
};
const CONF = "etc/systemd/resolved.conf.d/layover.conf";

describe("a client's files", () => {
  it("are well", async () => {
    const { servers, findings } = await look({
      ...PLAIN,
      "etc/hosts": "127.0.0.1 localhost\n#192.0.2.9 ghcr.io\n192.0.2.8 other # quay.io\n",
      "etc/nsswitch.conf": "passwd: files\nhosts: files mdns4_minimal [NOTFOUND=return] dns\n",
    });
    expect(servers).toEqual(["10.0.0.5"]);
    expect(findings).toMatchObject([{ status: "ok", text: expect.stringContaining("asked of 10.0.0.5") }]);
    expect((await look({})).findings).toMatchObject([{ text: expect.stringContaining("asked of nobody") }]);
  });

  it.each<[string, Record<string, string>, string, RegExp]>([
    ["a site in /etc/hosts", { ...PLAIN, "etc/hosts": "192.0.2.9\tother GHCR.io" }, "fail", /gives ghcr\.io as 192\.0\.2\.9/],
    [
      "a site led here by /etc/hosts",
      { ...PLAIN, "etc/hosts": "10.0.0.5 quay.io" },
      "warn",
      /leads quay\.io to Layover, well or not/,
    ],
    ["no DNS in nsswitch.conf", { ...PLAIN, "etc/nsswitch.conf": "hosts: files # dns" }, "fail", /by files: no DNS at all/],
    ["DNSSEC in systemd-resolved", { ...STUB, [CONF]: "[Resolve]\nDNSSEC = yes" }, "fail", /checks DNSSEC, so it refuses/],
    ["a little of it", { ...STUB, [CONF]: "DNSSEC=allow-downgrade" }, "warn", /may refuse/],
    [
      "TLS alone in systemd-resolved",
      { ...STUB, "etc/systemd/resolved.conf": "[Resolve]\nDNSOverTLS=yes\n" },
      "fail",
      /asks by TLS alone/,
    ],
  ])("with %s", async (_, files, status, text) => {
    const { findings } = await look(files);
    expect(findings).toEqual([{ check: "system", status, text: expect.stringMatching(text), mend: expect.any(String) }]);
  });

  it("tell whom systemd-resolved asks: all of its links' servers, unless the names are routed", async () => {
    expect((await look(STUB)).servers).toEqual(["127.0.0.53", "10.0.0.5", "192.0.2.1"]);
    const all = { ...STUB, [CONF]: "[Resolve]\nDNS=10.0.0.5\nDomains=~ghcr.io ~io" };
    expect((await look(all)).servers).toEqual(["127.0.0.53", "10.0.0.5"]);
    const some = { ...STUB, [CONF]: "[Resolve]\nDNS=10.0.0.5\nDomains=~ghcr.io" };
    expect((await look(some)).servers).toEqual(["127.0.0.53", "10.0.0.5", "192.0.2.1"]);
  });

  it("tell whom Docker's own DNS asks beside Layover", async () => {
    const resolvConf = "nameserver 127.0.0.11\noptions ndots:0\n\n# ExtServers: [10.0.0.5 host(192.0.2.2) 8.8.8.8]\n";
    expect((await look({ "etc/resolv.conf": resolvConf })).servers).toEqual(["127.0.0.11", "10.0.0.5", "8.8.8.8"]);
  });

  it("may be anything", () =>
    fc.assert(
      fc.property(fc.string(), fc.constantFrom("DNS=", "Domains=", "nameserver ", ""), (text, before) => {
        const { dns, domains } = parseResolved(`${before}${text}`);
        return Array.isArray(dns) && Array.isArray(domains) && Array.isArray(nameserversOf(`${before}${text}`));
      }),
    ));

  it("of systemd-resolved are read as it reads them", () => {
    expect(
      parseResolved("DNS=1.1.1.1#one 2.2.2.2\nDNS=\nDNS=10.0.0.5 [fe80::1%2]:53\nDomains=corp ~. ~.quay.io\nDNSSEC=no"),
    ).toEqual({
      dns: ["10.0.0.5", "fe80::1"],
      domains: [".", "quay.io"],
      dnssec: "no",
      dnsOverTls: "",
    });
  });
});
