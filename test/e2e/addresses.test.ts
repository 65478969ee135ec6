// A machine with a network of several links, some of whose addresses come later: DNS answers from the very address that was asked, doors
// open where an address comes, and clients that have IPv6 alone pull.
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { SCRIPT } from "./layover.ts";
import { cable, Machine } from "./network.ts";
import { outcome, Part } from "./part.ts";
import { until } from "./until.ts";

/** Layover's machine, one in its network, a container on its bridge, and one beyond a link of IPv6 alone. */
let house: Machine;
let lan: Machine;
let box: Machine;
let six: Machine;
let dir: string;
let layover: Part | undefined;
const parts: Part[] = [];
let count = 0;

const UPSTREAM = "fd00:60::9";
const SITES = {
  "images.six.test": { kind: "local", access: "anonymous" },
  "*.lab.test": { upstream: "http://*.lab.test:5000" },
};

beforeAll(async () => {
  const place = process.env["LAB_WORLD"];
  if (!place) throw new Error("these tests need a world of their own; run them with: npm run test:e2e");
  dir = await mkdtemp(`${place}/`);
  [house, lan, box, six] = await Promise.all([
    Machine.make("house"),
    Machine.make("lan"),
    Machine.make("box"),
    Machine.make("six"),
  ]);
  await cable(house, "lan0", lan, "eth0");
  await cable(house, "six0", six, "eth0");
  await cable(house, "port0", box, "eth0");
  await house.must("ip", "link", "add", "br0", "type", "bridge");
  await house.must("ip", "link", "set", "port0", "master", "br0", "up");
  await Promise.all([
    ...[house.address("lan0", "10.50.0.5/24"), lan.address("eth0", "10.50.0.9/24")],
    ...[house.address("br0", "172.18.0.1/16"), box.address("eth0", "172.18.0.9/16")],
    ...[house.address("six0", "fd00:60::5/64"), six.address("eth0", `${UPSTREAM}/64`)],
  ]);
  await house.linked("lan0", "six0", "br0");
  await box.must("ip", "route", "add", "default", "via", "172.18.0.1");
  const dnsmasq = ["--no-daemon", "--no-resolv", "--no-hosts", "--bind-interfaces", `--listen-address=${UPSTREAM}`];
  const answers = [`--address=/lab.test/${UPSTREAM}`, "--address=/ghcr.io/192.0.2.7"];
  const registry = `${process.env["LAYOVER_LAB"]}/bin/registry`;
  const config = `${dir}/registry.yml`;
  const storage = { filesystem: { rootdirectory: `${dir}/registry` } };
  await writeFile(config, JSON.stringify({ version: 0.1, storage, http: { addr: `[${UPSTREAM}]:5000` } }));
  parts.push(
    await Part.start("dnsmasq", six.argv("dnsmasq", ...dnsmasq, ...answers), `${dir}/dnsmasq.log`, async () =>
      (await six.dig(UPSTREAM, "a.lab.test", "AAAA")).includes(UPSTREAM),
    ),
    await Part.start("registry", six.argv(registry, "serve", config), `${dir}/registry.log`, async () => {
      return (await six.run(["curl", "-fsS", `http://[${UPSTREAM}]:5000/v2/`])).code === 0;
    }),
  );
}, 60_000);

afterEach(async ({ task }) => {
  if (task.result?.state === "fail") console.error(layover?.tail());
  await layover?.stop();
  layover = undefined;
});

afterAll(async () => {
  await Promise.all(parts.map((part) => part.stop()));
  await Promise.all([house, lan, box, six].map((machine) => machine.remove()));
});

const ANY = (port: number) => [`0.0.0.0:${port}`, `[::]:${port}`];

/** On its machine, in a folder of its own. */
const start = async (
  settings: { listen?: object; [key: string]: unknown } = {},
  argv: readonly string[] = [],
): Promise<string> => {
  const folder = `${dir}/${++count}`;
  await mkdir(folder);
  const config = `${folder}/layover.yaml`;
  const listen = { dns: ANY(53), https: ANY(443), http: ANY(80), ...settings.listen };
  await writeFile(config, JSON.stringify({ resolvers: [`[${UPSTREAM}]:53`], sites: SITES, ...settings, listen }));
  const serve = [...argv, process.execPath, SCRIPT, "serve", "--config", config];
  // DNS hears of it a moment after the front end is ready
  const isReady = async () => (await house.dig("127.0.0.1", "ghcr.io")) === "127.0.0.1";
  layover = await Part.start("layover", house.argv(...serve), `${folder}/log`, isReady, { cwd: folder });
  return folder;
};

const becomes = (expected: string, ask: () => Promise<string>) =>
  until(`the answer ${expected}`, 8_000, async () => (await ask()) === expected);

test("DNS answers from the address that was asked, whichever way leads to the client, also at one that comes later", async () => {
  await start();
  expect(await lan.dig("10.50.0.5", "ghcr.io")).toBe("10.50.0.5");
  expect(await box.dig("172.18.0.1", "ghcr.io")).toBe("172.18.0.1");
  // a container asks at its host's other address: the way back begins at the bridge's
  expect(await box.dig("10.50.0.5", "ghcr.io")).toBe("172.18.0.1");
  await house.address("lan0", "10.50.0.77/24");
  await becomes("10.50.0.5", () => lan.dig("10.50.0.77", "ghcr.io"));
  await house.must("ip", "address", "del", "10.50.0.77/24", "dev", "lan0");
  await house.address("lan0", "10.50.0.77/24");
  await becomes("10.50.0.5", () => lan.dig("10.50.0.77", "ghcr.io"));
  await house.must("ip", "address", "del", "10.50.0.77/24", "dev", "lan0");
  // one that may not be used for its first seconds; then the way to the client begins there, also for who asks at the other
  await house.address("six0", "fd00:60::77/64", true);
  for (const server of ["fd00:60::77", "fd00:60::5"]) await becomes("fd00:60::77", () => six.dig(server, "quay.io", "AAAA"));
  await house.must("ip", "address", "del", "fd00:60::77/64", "dev", "six0");
});

test("an address that is not there yet is listened on when it comes, for DNS and for the doors", async () => {
  const at = (port: number) => [`127.0.0.1:${port}`, `10.50.0.88:${port}`];
  await start({ listen: { dns: at(53), https: at(443), http: at(80) } });
  expect(layover!.tail(200)).toContain("10.50.0.88:53");
  expect(await house.dig("127.0.0.1", "ghcr.io")).toBe("127.0.0.1");
  await house.address("lan0", "10.50.0.88/24");
  await becomes("10.50.0.88", () => lan.dig("10.50.0.88", "ghcr.io"));
  await until("the door to open", 8_000, async () => (await lan.run(["curl", "-fs", "http://10.50.0.88/readyz"])).code === 0);
  await layover!.stop();
  expect(layover!.ended).toBe(true);
  await house.must("ip", "address", "del", "10.50.0.88/24", "dev", "lan0");
});

test("with none of its addresses there it does not start, and says why", async () => {
  const starting = start({ listen: { dns: ["10.50.0.99:53"] } });
  await expect(starting).rejects.toThrow(/cannot listen on 10\.50\.0\.99:53 for DNS: this machine has no such address/);
});

test("a client of IPv6 alone pushes, and pulls from there and through a wildcard, whose upstream has IPv6 alone", async () => {
  const folder = await start();
  expect(await six.dig("fd00:60::5", "images.six.test", "AAAA")).toBe("fd00:60::5");
  expect(await six.dig("fd00:60::5", "images.six.test", "A")).toMatch(/^(10\.50\.0\.5|172\.18\.0\.1)?$/);
  const resolv = `${folder}/resolv.conf`;
  await writeFile(resolv, "nameserver fd00:60::5\n");
  await writeFile(`${folder}/file`, "layer");
  expect((await six.run(["tar", "-C", folder, "-cf", `${folder}/layer.tar`, "file"])).code).toBe(0);
  const crane = (...argv: string[]) =>
    six.resolving(resolv, [`${process.env["LAYOVER_LAB"]}/bin/crane`, ...argv], { SSL_CERT_FILE: `${folder}/certs/ca.crt` });
  const push = (name: string) => crane("append", "-f", `${folder}/layer.tar`, "-t", name);
  expect(outcome(await push("images.six.test/acme/app:1"))).toBe("success");
  expect(outcome(await crane("pull", "images.six.test/acme/app:1", `${folder}/out.tar`))).toBe("success");
  // through the wildcard, to the registry behind it, and back; another of its hosts is another site
  expect(outcome(await push("europe.lab.test/acme/app:1"))).toBe("success");
  expect(outcome(await crane("pull", "europe.lab.test/acme/app:1", `${folder}/two.tar`))).toBe("success");
  await parts[1]!.stop();
  expect(outcome(await crane("pull", "europe.lab.test/acme/app:1", `${folder}/three.tar`))).toBe("success");
  expect((await crane("pull", "asia.lab.test/acme/app:1", `${folder}/four.tar`)).code).not.toBe(0);
});
