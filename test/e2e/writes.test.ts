// What clients write reaches the registry as if Layover were not there. The same commands are given straight and through the hijacked
// name; what the registry was asked to write, what it said, and what it holds in the end are the same. And a registry of Layover's own
// takes and holds what a real one does.
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import { logIn } from "./clients/builds.ts";
import { type Client, Place } from "./clients/client.ts";
import { CLIENTS } from "./clients/every.ts";
import type { Network } from "./engine.ts";
import { Htpasswd } from "./htpasswd.ts";
import { Image } from "./image.ts";
import { outcome } from "./part.ts";
import { GUARDED, World } from "./world.ts";
import { TOOLS, type Tool } from "./writers.ts";

const SIZE = 300_000;
const HOSTED = "images.build.example";
let world: World;
let readers: Record<string, Client>;
beforeAll(async () => {
  world = await World.start();
  const users = await Htpasswd.make(`${world.dir}/htpasswd`);
  await world.layover.start({}, { sites: { [HOSTED]: { kind: "local", users: users.file } } });
  readers = { [GUARDED]: await world.client(CLIENTS.crane), [HOSTED]: await world.client(CLIENTS.crane) };
  for (const [host, reader] of Object.entries(readers)) await reader.login("alice", host);
});
afterAll(() => world?.stop());

/** Each tag of a repository, and the digest that it leads to where all of it is there. */
type Contents = Record<string, string | undefined>;
type Where = { host: string; network: Network; contents: (repository: string) => Promise<Contents> };
type Told = { said: string[]; asked: string[]; held: Contents[] };

/** Gives the commands to a tool of its own, as alice. */
const tell = async (tool: Tool, image: Image, prefix: string, { host, network, contents }: Where): Promise<Told> => {
  const repositories = [`${prefix}/app`, `${prefix}/other`] as const;
  const plain = (text: string) =>
    text
      .replaceAll(prefix, "…")
      .replaceAll(host, "host")
      .replace(/(\/blobs\/uploads\/)[^ ]+/g, "$1…");
  let told: Told | undefined;
  await world.client(async (dir, on) => {
    const daemon = await tool.prepare?.(dir, on);
    const place = await Place.make(dir, on, "both");
    await logIn(place, "alice", host);
    const [app, other] = repositories.map((repository) => `${host}/${repository}`) as [string, string];
    const [layout, archive] = [await place.layout(image), await place.archive(image, `${app}:v1`)];
    const mark = await world.guarded.mark();
    const said: string[] = [];
    for (const argv of tool.commands({ layout, archive, digest: image.manifest.digest, host, app, other }, dir)) {
      const ran = await place.run(argv, { env: tool.env?.(dir) ?? {} });
      said.push(plain(`${argv.slice(0, 4).join(" ").replaceAll(dir, "")}: ${outcome(ran)}`));
    }
    const held = await Promise.all(repositories.map(contents)); // by then nginx has written its log
    const writes = (await world.guarded.hits(mark)).filter(({ method }) => method !== "GET" && method !== "HEAD");
    const asked = writes.map(({ method, path, status }) => plain(`${method} ${path} ${status}`)).toSorted();
    told = { said, asked, held };
    return { stop: async () => daemon?.stop() };
  }, network);
  return told!;
};

const all = async (tags: readonly string[], digestOf: (tag: string) => Promise<string | undefined>): Promise<Contents> =>
  Object.fromEntries(await Promise.all(tags.toSorted().map(async (tag) => [tag, await digestOf(tag)] as const)));

/** As the registry itself tells it. */
const upstream = async (repository: string): Promise<Contents> => {
  const { status, bytes } = await world.guarded.straight("GET", `/v2/${repository}/tags/list`);
  const { tags } = status === 200 ? (JSON.parse(bytes.toString()) as { tags: string[] | null }) : { tags: [] };
  return all(tags ?? [], (tag) => world.guarded.whole(repository, tag));
};

/** As a client finds it that pulls all of it. */
const hosted = async (repository: string): Promise<Contents> => {
  const name = `${HOSTED}/${repository}`;
  let listed = "";
  await world.client(async (dir, network) => {
    const place = await Place.make(dir, network, "both");
    await logIn(place, "alice", HOSTED);
    listed = (await place.run(["crane", "ls", name])).out;
    return { stop: async () => {} };
  });
  return all(listed.split("\n").filter(Boolean), (tag) => readers[HOSTED]!.pull(`${name}:${tag}`));
};

const straight = (): Where => ({ host: GUARDED, network: world.direct, contents: upstream });
const through = (): Where => ({ host: GUARDED, network: world.behind, contents: upstream });
const own = (): Where => {
  const { ca } = world.behind;
  return { host: HOSTED, network: { ...world.behind, ca: { ...ca!, hosts: [HOSTED] } }, contents: hosted };
};

describe.each(Object.entries(TOOLS))("%s", (name, tool) => {
  let image: Image;
  let wanted: Told;
  beforeAll(async () => {
    image = await Image.make(SIZE);
    wanted = await tell(tool, image, `alice/${name}-straight`, straight());
  });

  test("writes the same through Layover, which holds it then", async () => {
    onTestFailed(() => world.explain());
    expect(wanted.said.filter((line) => !line.endsWith(": success"))).toEqual([]);
    const mounts = wanted.asked.filter((line) => line.startsWith("POST") && line.endsWith(" 201"));
    expect(mounts.length, "something is mounted").toBeGreaterThan(0);
    expect(await tell(tool, image, `alice/${name}-through`, through())).toEqual(wanted);
    const mark = await world.guarded.mark();
    const [app, other] = wanted.held;
    for (const [repository, tags] of Object.entries({ app, other }))
      for (const [tag, digest] of Object.entries(tags!))
        expect(await readers[GUARDED]!.pull(`${GUARDED}/alice/${name}-through/${repository}:${tag}`)).toBe(digest);
    const blobs = (await world.guarded.hits(mark)).filter(({ path }) => path.includes("/blobs/"));
    expect(blobs, "what was pushed or mounted is held").toEqual([]);
    if (other!["v1"] === undefined)
      await expect(readers[GUARDED]!.pull(`${GUARDED}/alice/${name}-through/other:v1`)).rejects.toThrow(/MANIFEST_UNKNOWN/);
  });

  test("writes the same to a registry of Layover's own", async () => {
    onTestFailed(() => world.explain());
    const { said, held } = await tell(tool, image, `alice/${name}`, own());
    expect({ said, held }).toEqual({ said: wanted.said, held: wanted.held });
  });
});
