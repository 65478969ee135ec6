// Which real hosts may be reached on a client's behalf, over real sockets and a resolver of the test's own.
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { isLocalAddress, ownAddresses } from "../../src/lib/own-addresses.ts";
import { trusting } from "../../src/lib/roots.ts";
import { type RealHostOptions, realHosts } from "../../src/upstream/real-host.ts";
import { UpstreamResolver } from "../../src/upstream/resolver.ts";
import { faultProxy } from "../faults/proxy.ts";
import { namesAt, silentNames } from "./names.ts";

const NEVER = new AbortController().signal;

const listening = async (): Promise<number> => {
  const server = createServer((socket) => socket.on("data", () => socket.end("real")));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
};

const dial = (resolver: UpstreamResolver, more: Partial<RealHostOptions> = {}) =>
  realHosts({ resolver, isNamed: () => false, isHere: isLocalAddress, ...more });

const heard = async (socket: Awaited<ReturnType<ReturnType<typeof realHosts>>>): Promise<string> => {
  socket.write("?");
  const [bytes] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  return String(bytes);
};

it("reaches a named host in a private network, at the first of its addresses that answers", async () => {
  const port = await listening();
  const resolver = await namesAt("127.0.0.2", "127.0.0.1");
  expect(await heard(await dial(resolver, { isNamed: () => true })("gitlab.test", port, NEVER))).toBe("real");
});

it.each([
  [["127.0.0.1"], "DENIED"],
  [["10.0.0.1", "192.168.0.1", "fd00::1"], "DENIED"],
  [["169.254.169.254", "::ffff:127.0.0.1"], "DENIED"],
])("reaches no other host at %s", async (addresses, code) => {
  const port = await listening();
  const resolver = await namesAt(...addresses);
  await expect(dial(resolver)("rebound.test", port, NEVER)).rejects.toMatchObject({ code });
});

it.each(["127.0.0.1", "::1", "::ffff:127.0.0.1", "localhost", "0.0.0.0"])("nor %s itself", async (host) => {
  await expect(dial(await silentNames())(host, await listening(), NEVER)).rejects.toMatchObject({ code: "DENIED" });
});

it("nor an address of this machine, public though it is", async () => {
  const resolver = await namesAt("192.88.99.1");
  const asked = dial(resolver, { isHere: (address) => address === "192.88.99.1" })("here.test", 443, NEVER);
  await expect(asked).rejects.toMatchObject({ code: "DENIED" });
});

it.each(["2001:db8::5", "2001:DB8:0:0:0:0:0:5", "64:ff9b::192.88.99.1"])(
  "nor to a door of ours at %s, however it is written",
  async (address) => {
    const isOurs = ownAddresses([
      { host: "2001:db8::5", port: 443 },
      { host: "192.88.99.1", port: 443 },
    ]);
    const resolver = new UpstreamResolver({ names: { find: async () => [], close: () => undefined }, isOurs });
    await expect(dial(resolver, { isNamed: () => true })(address, 443, NEVER)).rejects.toMatchObject({ code: "LOOP_DETECTED" });
  },
);

it("a named host never is link-local, nor ourselves", async () => {
  const resolver = await namesAt("169.254.169.254");
  await expect(dial(resolver, { isNamed: () => true })("meta.test", 443, NEVER)).rejects.toMatchObject({ code: "DENIED" });
});

it("says that nobody answers, within its time", async () => {
  const named = { isNamed: () => true, within: 200 };
  const began = performance.now();
  await expect(dial(await silentNames(), named)("gone.test", 443, NEVER)).rejects.toMatchObject({
    code: "UPSTREAM_UNREACHABLE",
    message: expect.stringContaining("no resolver answers in time") as string,
  });
  // nothing is listening there
  await expect(dial(await namesAt("127.0.0.1"), named)("closed.test", 1, NEVER)).rejects.toMatchObject({
    code: "UPSTREAM_UNREACHABLE",
    message: expect.stringContaining("ECONNREFUSED") as string,
  });
  expect(performance.now() - began).toBeLessThan(2_000);
});

it("goes through the HTTP proxy where there is one, for named hosts alone", async () => {
  const proxy = await faultProxy({ login: "builds:hunter2" });
  const port = await listening();
  const resolver = await namesAt("127.0.0.1");
  const lookup = resolver.lookupFor(80);
  const through = dial(resolver, {
    isNamed: (host) => host === "gitlab.test",
    proxy: { url: proxy.url, lookup, secureContext: trusting(undefined) },
  });
  expect(await heard(await through("gitlab.test", port, NEVER))).toBe("real");
  await expect(through("other.test", port, NEVER)).rejects.toMatchObject({ code: "DENIED" });
  expect(proxy.targets).toEqual([`gitlab.test:${port}`]);
});
