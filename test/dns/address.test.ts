import { describe, expect, it, onTestFinished, vi } from "vitest";
import { answerAddresses } from "../../src/dns/address.ts";
import { type HostNetwork, hostNetwork, parseGateways4, parseGateways6 } from "../../src/dns/host-network.ts";
import type { Answer } from "../../src/lib/answers.ts";
import { parseAddress } from "../../src/lib/listen.ts";

const ROUTES: Record<string, string> = {
  "127.0.0.1": "127.0.0.1",
  "172.18.0.5": "172.18.0.2",
  "172.18.0.1": "172.18.0.2",
  "192.168.1.50": "172.18.0.2",
  "fd00:18::5": "fd00:18::2",
  "fe80::5%eth0": "fe80::2%eth0",
};

const network = (given: Partial<HostNetwork> = {}): HostNetwork & { asked: string[] } => {
  const asked: string[] = [];
  return {
    asked,
    addresses: () => [
      { name: "lo", address: "127.0.0.1", cidr: "127.0.0.1/8" },
      { name: "lo", address: "::1", cidr: "::1/128" },
      { name: "eth0", address: "172.18.0.2", cidr: "172.18.0.2/16" },
      { name: "eth0", address: "fe80::2", cidr: "fe80::2/64" },
      { name: "eth0", address: "fd00:18::2", cidr: "fd00:18::2/64" },
    ],
    route: async (client) => {
      asked.push(client);
      return ROUTES[client];
    },
    gateways: () => ["172.18.0.1", "fd00:18::1"],
    inContainer: () => false,
    ...given,
  };
};

const answering = (https: string[], given: Partial<HostNetwork> = {}) =>
  answerAddresses({ answer: "auto", answerIn: [], https: https.map((text) => parseAddress(text)), network: network(given) });

describe("answer: auto", () => {
  it("is the door's address when that is one, wherever the client is", async () => {
    const addressesFor = answering(["127.0.0.3:443"]);
    expect(await addressesFor("192.168.1.50")).toEqual(["127.0.0.3"]);
    expect(await addressesFor("fd00::9")).toEqual(["127.0.0.3"]);
  });

  it.each([
    ["0.0.0.0:443", "172.18.0.5", ["172.18.0.2"]],
    ["0.0.0.0:443", "::ffff:172.18.0.5", ["172.18.0.2"]],
    ["0.0.0.0:443", "::FFFF:ac12:5", ["172.18.0.2"]],
    ["0.0.0.0:443", "127.0.0.1", ["127.0.0.1"]],
    // The door takes no IPv6: the neighbour on the interface does.
    ["0.0.0.0:443", "fd00:18::5", ["172.18.0.2"]],
    ["[::]:443", "fd00:18::5", ["fd00:18::2"]],
    ["[::]:443", "172.18.0.5", ["172.18.0.2"]],
    // A link-local address has no place in an answer.
    ["[::]:443", "fe80::5%eth0", ["172.18.0.2"]],
    ["0.0.0.0:443", "10.99.99.99", []],
  ])("with the door on %s, %s gets %j", async (https, client, expected) => {
    expect(await answering([https])(client)).toEqual(expected);
  });

  it("gives an address where the door listens, when it listens on several", async () => {
    const addressesFor = answering(["172.18.0.2:443", "10.7.0.1:443"]);
    expect(await addressesFor("172.18.0.5")).toEqual(["172.18.0.2"]);
    expect(await addressesFor("127.0.0.1")).toEqual(["172.18.0.2", "10.7.0.1"]);
  });

  it("asks for a client's route once in a while, not for every query", async () => {
    const host = network();
    const addressesFor = answerAddresses({ answer: "auto", answerIn: [], https: [parseAddress("0.0.0.0:443")], network: host });
    await Promise.all([addressesFor("172.18.0.5"), addressesFor("172.18.0.5"), addressesFor("::ffff:172.18.0.5")]);
    expect(host.asked).toEqual(["172.18.0.5"]);
    // Nor is a promise made for what is known.
    expect(addressesFor("172.18.0.5")).toEqual(["172.18.0.2"]);
    expect(addressesFor("::ffff:172.18.0.5")).toEqual(["172.18.0.2"]);
  });

  it("asks again after a while: routes change", async () => {
    let ahead = 0;
    const now = performance.now.bind(performance);
    const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + ahead);
    onTestFinished(() => clock.mockRestore());
    const later = async (ms: number) => {
      ahead += ms;
      await new Promise((resolve) => setTimeout(resolve, 10)); // the cache looks at the clock once a millisecond
    };
    let local = "172.18.0.2";
    const addressesFor = answering(["0.0.0.0:443"], { route: async () => local });
    expect(await addressesFor("172.18.0.5")).toEqual(["172.18.0.2"]);
    local = "127.0.0.1";
    await later(8_000);
    expect(addressesFor("172.18.0.5")).toEqual(["172.18.0.2"]);
    await later(2_000);
    expect(await addressesFor("172.18.0.5")).toEqual(["127.0.0.1"]);
  });

  it("asks again when there was no way, or asking failed", async () => {
    const routes = [undefined, "fails", "172.18.0.2"];
    const route = async () => {
      const found = routes.shift();
      if (found === "fails") throw new Error("no file descriptor");
      return found;
    };
    const addressesFor = answering(["0.0.0.0:443"], { route });
    expect(await addressesFor("172.18.0.5")).toEqual([]);
    await expect(addressesFor("172.18.0.5")).rejects.toThrow("no file descriptor");
    expect(await addressesFor("172.18.0.5")).toEqual(["172.18.0.2"]);
    expect(await addressesFor("172.18.0.5")).toEqual(["172.18.0.2"]);
  });

  it.each([
    ["172.18.0.5", ["172.18.0.2"]],
    ["127.0.0.1", ["127.0.0.1"]],
    ["fe80::5%eth0", ["172.18.0.2"]],
    ["172.18.0.1", undefined],
    ["192.168.1.50", undefined],
    ["fd00:18::1", undefined],
  ])("in a container, %s gets %j", async (client, expected) => {
    expect(await answering(["0.0.0.0:443"], { inContainer: () => true })(client)).toEqual(expected);
  });

  it("in a container, gives a fixed door's address to the same link only", async () => {
    const addressesFor = answering(["172.18.0.2:443"], { inContainer: () => true });
    expect(await addressesFor("172.18.0.5")).toEqual(["172.18.0.2"]);
    expect(await addressesFor("192.168.1.50")).toBeUndefined();
  });
});

describe("an explicit answer", () => {
  it("is for everybody, in a container too, in one spelling", async () => {
    const answer = ["10.1.2.3", "FD00:0:0::1", "::ffff:10.1.2.4"];
    const addressesFor = answerAddresses({
      answer,
      answerIn: [],
      https: [parseAddress("0.0.0.0:443")],
      network: network({ inContainer: () => true }),
    });
    expect(await addressesFor("192.168.1.50")).toEqual(["10.1.2.3", "fd00::1", "10.1.2.4"]);
  });
});

describe("an answer per subnet", () => {
  const addressesFor = (answer: Answer, given: Partial<HostNetwork> = {}) =>
    answerAddresses({
      answer,
      answerIn: [
        { prefix: "10.1.0.0/16", answer: ["10.1.0.2"] },
        { prefix: "10.1.7.0/24", answer: "auto" },
        { prefix: "10.1.7.9", answer: ["10.9.9.9"] },
        { prefix: "fd00:1::/64", answer: ["FD00:1::2", "10.1.0.2"] },
        { prefix: "fe80::/10", answer: ["10.3.3.3"] },
      ],
      https: [parseAddress("0.0.0.0:443")],
      network: network({ route: async () => "172.18.0.2", ...given }),
    });

  it.each([
    ["10.1.0.9", ["10.1.0.2"]],
    ["::ffff:10.1.255.9", ["10.1.0.2"]],
    ["10.1.7.8", ["172.18.0.2"]],
    ["10.1.7.9", ["10.9.9.9"]],
    ["fd00:1::9", ["fd00:1::2", "10.1.0.2"]],
    ["fd00:1:0:1::9", ["10.0.0.5"]],
    ["fe80::5%eth0", ["10.3.3.3"]],
    ["10.2.0.9", ["10.0.0.5"]],
  ])("%s gets %j: the longest prefix that holds it decides", async (client, expected) => {
    expect(await addressesFor(["10.0.0.5"])(client)).toEqual(expected);
  });

  it("leaves the others to auto, and in a container those on the same link", async () => {
    expect(await addressesFor("auto")("10.2.0.9")).toEqual(["172.18.0.2"]);
    const contained = addressesFor("auto", { inContainer: () => true });
    expect(await contained("10.2.0.9")).toBeUndefined();
    expect(await contained("172.18.0.5")).toEqual(["172.18.0.2"]);
    expect(await contained("10.1.0.9")).toEqual(["10.1.0.2"]);
  });
});

describe("the host's network", () => {
  it("finds the local address that routes to a client", async () => {
    expect(await hostNetwork.route("127.0.0.1")).toBe("127.0.0.1");
    expect(await hostNetwork.route("fe80::1")).toBeUndefined();
  });

  it("reads gateways from the kernel's tables", () => {
    const four = "Iface\tDestination\tGateway \tFlags\neth0\t00000000\t010012AC\t0003\neth0\t000012AC\t00000000\t0001\n";
    expect(parseGateways4(four)).toEqual(["172.18.0.1"]);
    const none = "0".repeat(32);
    const six = `${none} 00 ${none} 00 fd000018000000000000000000000001 00000400 eth0\n${none} 40 ${none} 00 ${none} 00000100 eth0\n`;
    expect(parseGateways6(six)).toEqual(["fd00:18::1"]);
    expect(parseGateways4("")).toEqual([]);
    expect(hostNetwork.gateways()).toBeInstanceOf(Array);
    expect(hostNetwork.addresses()).toContainEqual({ name: "lo", address: "127.0.0.1", cidr: "127.0.0.1/8" });
  });
});
