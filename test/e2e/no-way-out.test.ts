// A builder that reaches Layover and nothing else: one link, DNS at Layover, its CA. What is the sites' comes through Layover, the token server's own
// TLS is passed on to it untouched, and there is no other way for anything.
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import { CLIENTS, type ClientName } from "./clients/every.ts";
import { Image } from "./image.ts";
import { BUILDER, Lonely } from "./lonely.ts";
import { GUARDED, OPEN, World } from "./world.ts";

const SIZE = 512 * 1024;
const REALM = "gitlab.com";
let world: World;
let lonely: Lonely;

beforeAll(async () => {
  world = await World.start();
  lonely = await Lonely.make();
  await world.layover.start({ freshFor: "1s" }, { ...lonely.settings, passthrough: [REALM] });
});
afterAll(async () => {
  await world?.stop();
  await lonely?.stop();
});

const newest = async (repository: string, upstream = world.guarded): Promise<string> => {
  const image = await Image.make(SIZE);
  await upstream.put(image, repository, "v1");
  return image.manifest.digest;
};

describe.each<ClientName>(["docker-20.10", "docker-29"])("%s, with no way out", (name) => {
  test("logs in, pulls what is private and what is public, and pushes", async () => {
    onTestFailed(() => world.explain());
    const client = await world.client(CLIENTS[name], lonely.around(world.behind));
    const own = await newest(`alice/${name}`);
    const open = await newest(`acme/${name}`, world.open);
    const shared = await newest(`acme/public/${name}`);
    expect(await client.pull(`${OPEN}/acme/${name}:v1`)).toBe(open);
    expect(await client.pull(`${GUARDED}/acme/public/${name}:v1`)).toBe(shared);
    await expect(client.pull(`${GUARDED}/alice/${name}:v1`)).rejects.toThrow();
    await expect(client.login("alice", GUARDED, "guess")).rejects.toThrow();
    const asked = world.tokens.asked;
    await client.login("alice", GUARDED);
    expect(await client.pull(`${GUARDED}/alice/${name}:v1`)).toBe(own);
    const pushed = await client.push!(await Image.make(SIZE), `${GUARDED}/alice/${name}:pushed`);
    expect(await world.guarded.whole(`alice/${name}`, "pushed")).toBe(pushed);
    expect(world.tokens.asked).toBeGreaterThan(asked + 1);
  });
});

describe("what is passed on", () => {
  test("is the real host's own TLS, and Layover reads nothing of it", async () => {
    onTestFailed(() => world.explain());
    const ran = await lonely.ask(REALM, "/jwt/auth?service=x&secret=hunter2", "--cacert", world.authority.certificate, "-v");
    expect(ran.code).toBe(0);
    expect(JSON.parse(ran.out)).toHaveProperty("token");
    const byOurs = await lonely.ask(REALM, "/jwt/auth", "--cacert", world.layover.certificate);
    expect(byOurs.code).toBe(60);
    const log = world.layover.tail(Number.POSITIVE_INFINITY);
    expect(log).not.toContain("hunter2");
    expect(log).toMatch(new RegExp(`"door":"https","host":"${REALM}","port":443,"client":"${BUILDER}".*"msg":"tunnel"`));
  });

  test("is nothing else: other names, ports and addresses are refused, and no builder has gone round", async () => {
    onTestFailed(() => world.explain());
    const mark = await world.open.mark();
    for (const host of ["evil.example", "sub.gitlab.com", "127.0.0.1.nip.io"]) {
      const ran = await lonely.ask(host, "/");
      expect([ran.code, ran.err]).toEqual([35, expect.stringMatching(/unrecognized name/)]);
    }
    // of a name that is passed on nothing is served in clear
    const plain = await lonely.ask(REALM, `http://${REALM}/jwt/auth`, "-o", "/dev/null", "-w", "%{http_code}");
    expect(plain.out).toBe("421");
    // its own, the token server's and the registries' addresses
    for (const address of ["203.0.113.5", "10.77.0.2", "10.77.0.7"]) {
      const ran = await lonely.run("curl", "-sS", "-k", "--max-time", "3", `https://${address}/`);
      expect([ran.code, ran.err]).toEqual([7, expect.stringMatching(/Failed to connect|Couldn't connect|unreachable/i)]);
    }
    expect(await world.open.hits(mark)).toEqual([]);
    expect(world.tokens.callers).not.toContain(BUILDER);
    expect(world.tokens.callers.size).toBeGreaterThan(0);
  });

  test("is told by an alert while its host is away, and is there when it is back", async () => {
    onTestFailed(() => world.explain());
    await world.tokens.stop();
    const away = await lonely.ask(REALM, "/jwt/auth", "--cacert", world.authority.certificate);
    expect([away.code, away.err]).toEqual([35, expect.stringMatching(/internal error/)]);
    await world.tokens.start();
    expect((await lonely.ask(REALM, "/jwt/auth", "--cacert", world.authority.certificate)).code).toBe(0);
  });
});
