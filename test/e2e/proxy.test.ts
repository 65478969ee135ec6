// The proxy door: clients with HTTPS_PROXY, the CA, unchanged image names, and nobody to ask for a name.
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import type { Client } from "./clients/client.ts";
import { CLIENTS, NAMES } from "./clients/every.ts";
import type { Network } from "./engine.ts";
import { Image } from "./image.ts";
import { ADDRESS, DNS } from "./layover.ts";
import { type Ran, run } from "./part.ts";
import { GUARDED, OPEN, OWN_NAMES, World } from "./world.ts";

const SIZE = 1024 * 1024;
const PROXY = `http://${ADDRESS}:3128`;
const NOWHERE = "127.0.0.250";
const REALM = "gitlab.com";
const LISTEN = { dns: [`${DNS}:53`], https: [`${ADDRESS}:443`], http: [`${ADDRESS}:80`], admin: `${ADDRESS}:9180` };

let world: World;
let behind: Network;
/** The token server is in a network that nothing is passed on to unless it is named. */
const start = (passthrough: readonly string[]) =>
  world.layover.start({}, { name: OWN_NAMES, listen: { ...LISTEN, proxy: [`${ADDRESS}:3128`] }, passthrough });

beforeAll(async () => {
  world = await World.start();
  await start([REALM]);
  behind = { ...world.behind, dns: NOWHERE, proxy: PROXY };
});
afterAll(() => world?.stop());

describe.each(NAMES)("%s", (name) => {
  let first: Client;
  let second: Client;
  beforeAll(async () => {
    first = await world.client(CLIENTS[name], behind);
    second = await world.client(CLIENTS[name], behind);
  });
  afterAll(async () => {
    await Promise.all([first?.stop(), second?.stop()]);
  });

  test("pulls, each blob once, and a second one without a byte from upstream", async () => {
    onTestFailed(() => world.explain());
    const image = await Image.make(SIZE);
    await world.open.put(image, `acme/${name}`, "v1");
    const mark = await world.open.mark();
    for (const client of [first, second]) expect(await client.pull(`${OPEN}/acme/${name}:v1`)).toBe(image.manifest.digest);
    expect(await world.open.settledBlobBytes(mark, image.size)).toBe(image.size);
  });

  test("logs in where tokens come from outside, pushes, and pulls what is private", async () => {
    onTestFailed(() => world.explain());
    const repository = `alice/${name}`;
    const reference = `${GUARDED}/${repository}:v1`;
    const image = await Image.make(SIZE);
    for (const client of [first, second]) await client.login("alice", GUARDED);
    if (first.push) expect(await first.push(image, reference)).toBe(await world.guarded.whole(repository, "v1"));
    else await world.guarded.put(image, repository, "v1");
    expect(await second.pull(reference)).toBe(await world.guarded.whole(repository, "v1"));
  });
});

describe("curl", () => {
  const curl = (...args: string[]): Promise<Ran> => run(["curl", "-sS", "--max-time", "20", "-x", PROXY, ...args]);
  const trusting = (certificate: string, url: string) => curl("--cacert", certificate, url);

  test("reads a site's and Layover's own pages under our CA, and a host that is passed on under its own", async () => {
    onTestFailed(() => world.explain());
    expect(await trusting(world.layover.certificate, `https://${OPEN}/v2/`)).toMatchObject({ code: 0 });
    expect(await trusting(world.layover.certificate, `https://${OWN_NAMES[0]}/livez`)).toMatchObject({ code: 0, out: "ok\n" });
    expect(await curl(`http://${OWN_NAMES[0]}/livez`)).toMatchObject({ code: 0, out: "ok\n" });
    expect(await trusting(world.authority.certificate, `https://${REALM}/`)).toMatchObject({ code: 0 });
    expect(await trusting(world.layover.certificate, `https://${REALM}/`)).toMatchObject({ code: 60 });
  });

  test.each([
    ["a port other than 443", `https://${REALM}:444/`, 403],
    ["an address of the network", "https://10.77.0.7/", 403],
    ["this machine", "https://127.0.0.1/", 403],
    ["Layover by its address", `https://${ADDRESS}/`, 508],
    ["a cloud's metadata", "https://169.254.169.254/", 403],
  ])("is led to nothing else: %s", async (_what, url, status) => {
    const { code, err } = await curl("-k", url);
    expect([code, err]).toEqual([56, expect.stringContaining(String(status))]);
  });

  test("a plain request is passed on to nobody", async () => {
    const { out } = await curl("-o", "/dev/null", "-w", "%{http_code}", `http://${REALM}/`);
    expect(out).toBe("403");
  });

  test("a host in a private network is reached only if it is named; and by a bypass sites are passed on", async () => {
    onTestFailed(() => world.explain());
    await world.layover.stop();
    await start([]);
    const { err } = await curl("-k", `https://${REALM}/`);
    expect(err).toContain("403");
    expect(await trusting(world.layover.certificate, `https://${OPEN}/v2/`)).toMatchObject({ code: 0 });
    expect(await world.layover.command("bypass", "on")).toMatchObject({ code: 0 });
    // to a registry that is in a private network here
    await expect.poll(async () => (await curl("-k", `https://${OPEN}/v2/`)).err, { timeout: 10_000 }).toContain("403");
  });
});
