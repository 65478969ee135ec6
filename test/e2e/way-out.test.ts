// A way out that is not a plain one: through an HTTP proxy, and to a registry that wants a certificate. Clients know of neither.
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import { CLIENTS, type ClientName } from "./clients/every.ts";
import { type HttpProxy, httpProxy, PROXY } from "./http-proxy.ts";
import { Image } from "./image.ts";
import { GUARDED, OPEN, World } from "./world.ts";

const SIZE = 1024 * 1024;
const SOME: readonly ClientName[] = ["docker-29", "skopeo"];
let world: World;
let proxy: HttpProxy;

beforeAll(async () => {
  world = await World.start();
  proxy = await world.client(httpProxy, world.direct);
  await world.guarded.askForCertificate();
  const clientCertificate = await world.authority.issue("layover.example", "clientAuth");
  const sites = { [OPEN]: { httpProxy: PROXY.url }, [GUARDED]: { clientCertificate } };
  await world.layover.start({ freshFor: "1s" }, { sites });
});
afterAll(() => world?.stop());

/** Each of them pushes an image, and pulls one that is not held. */
const usedBy = (host: string, owner: string) => {
  test.each(SOME)("%s pushes and pulls", async (name) => {
    onTestFailed(() => world.explain());
    const upstream = host === OPEN ? world.open : world.guarded;
    const client = await world.client(CLIENTS[name]);
    if (host === GUARDED) await client.login("alice", host);
    const digest = await client.push!(await Image.make(SIZE), `${host}/${owner}/${name}:pushed`);
    expect(await upstream.whole(`${owner}/${name}`, "pushed")).toBe(digest);
    const image = await Image.make(SIZE);
    await upstream.put(image, `${owner}/${name}`, "v1");
    expect(await client.pull(`${host}/${owner}/${name}:v1`)).toBe(image.manifest.digest);
  });
};

describe("through an HTTP proxy", () => {
  usedBy(OPEN, "acme");

  test("there is no other way, and no other site goes by it", async () => {
    onTestFailed(() => world.explain());
    expect(new Set(await proxy.asked())).toEqual(new Set([`${OPEN}:443`]));
    await proxy.stop();
    await world.open.put(await Image.make(SIZE), "acme/later", "v1");
    const mark = await world.open.mark();
    expect(await world.ask(OPEN, "/v2/acme/later/manifests/v1")).toMatchObject({ status: 503 });
    expect(await world.open.hits(mark)).toEqual([]);
    expect(world.layover.tail(Number.POSITIVE_INFINITY)).not.toContain(PROXY.secret);
  });
});

describe("to a registry that wants a certificate", () => {
  usedBy(GUARDED, "alice");

  test("who shows none is let in to nothing", async () => {
    const direct = await world.client(CLIENTS.crane, world.direct);
    await expect(direct.pull(`${GUARDED}/acme/public/app:v1`)).rejects.toThrow(/400/);
  });
});
