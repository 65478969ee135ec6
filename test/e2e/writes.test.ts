// What clients write reaches the registry as if Layover were not there: pushes whole and in chunks, mounts of what another repository has,
// tags and deletes. The same commands are given straight and through the hijacked name; what the registry was asked to write, what it
// said, and what it holds in the end are the same.
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import { logIn } from "./clients/builds.ts";
import { type Client, Place, type Start } from "./clients/client.ts";
import { stored } from "./clients/daemonless.ts";
import { CLIENTS } from "./clients/every.ts";
import { Engine, type Kind } from "./engine.ts";
import { Image } from "./image.ts";
import { outcome } from "./part.ts";
import { GUARDED, World } from "./world.ts";

const SIZE = 300_000;
let world: World;
let reader: Client;
beforeAll(async () => {
  world = await World.start();
  await world.layover.start();
  reader = await world.client(CLIENTS.crane);
  await reader.login("alice", GUARDED);
});
afterAll(() => world?.stop());

/** The image to write, as an OCI layout and as a file for `docker load` under the name of `app`; and two repositories. */
type Work = { layout: string; archive: string; digest: string; app: string; other: string };
type Tool = {
  prepare?: Start<{ stop(): Promise<void> }>;
  env?: (dir: string) => Record<string, string>;
  commands(work: Work, dir: string): string[][];
};

const engine = (kind: Kind): Tool => {
  const docker = (...args: string[]) => ["/usr/bin/docker", ...args];
  return {
    prepare: (dir, network) => Engine.start(kind, dir, dir, network),
    env: (dir) => ({ DOCKER_HOST: `unix://${dir}/sock` }),
    commands: ({ archive, app, other }) => [
      docker("load", "-qi", archive),
      docker("push", "-q", `${app}:v1`),
      ...["v2", "v3"].flatMap((tag) => [docker("tag", `${app}:v1`, `${app}:${tag}`), docker("push", "-q", `${app}:${tag}`)]),
      docker("tag", `${app}:v1`, `${other}:v1`),
      docker("push", "-q", `${other}:v1`),
    ],
  };
};

const daemonless = (name: "podman" | "buildah"): Tool => ({
  commands: ({ archive, app, other }, dir) =>
    [
      ["pull", "-q", `docker-archive:${archive}`],
      ["push", "-q", `${app}:v1`],
      ["tag", `${app}:v1`, `${app}:v2`, `${other}:v1`],
      ["push", "-q", `${app}:v2`],
      ["push", "-q", `${other}:v1`],
    ].map((args) => [...stored(name, dir), ...args]),
});

const TOOLS: Readonly<Record<string, Tool>> = {
  "docker-20.10": engine("classic"),
  "docker-29": engine("containerd"),
  podman: daemonless("podman"),
  buildah: daemonless("buildah"),
  skopeo: {
    commands: ({ layout, app, other }) =>
      [
        ["copy", "-q", "--preserve-digests", `oci:${layout}:v1`, `docker://${app}:v1`],
        ["copy", "-q", `docker://${app}:v1`, `docker://${app}:v2`],
        ["copy", "-q", `docker://${app}:v1`, `docker://${other}:v1`],
        ["delete", `docker://${other}:v1`],
      ].map((args) => ["skopeo", "--insecure-policy", ...args]),
  },
  crane: {
    commands: ({ layout, digest, app, other }) =>
      [
        ["push", layout, `${app}:v1`],
        ["tag", `${app}:v1`, "v2"],
        ["copy", `${app}:v1`, `${other}:v1`],
        ["delete", `${other}@${digest}`],
      ].map((args) => ["crane", ...args]),
  },
  regctl: {
    commands: ({ layout, digest, app, other }) =>
      [
        ["registry", "set", "--blob-max", "100000", "--blob-chunk", "100000", GUARDED],
        ["image", "copy", `ocidir://${layout}:v1`, `${app}:v1`],
        ["image", "copy", `${app}:v1`, `${app}:v2`],
        ["image", "copy", `${app}:v1`, `${app}:v3`],
        ["tag", "delete", `${app}:v2`],
        ["image", "copy", `${app}:v1`, `${other}:v1`],
        ["manifest", "delete", `${other}@${digest}`],
      ].map((args) => ["regctl", ...args]),
  },
  oras: {
    commands: ({ layout, app, other }) =>
      [
        ["copy", "--from-oci-layout", `${layout}:v1`, `${app}:v1`],
        ["tag", `${app}:v1`, "v2"],
        ["copy", `${app}:v1`, `${other}:v1`],
        ["manifest", "delete", "--force", `${other}:v1`],
      ].map((args) => ["oras", ...args]),
  },
};

type Told = { said: string[]; asked: string[]; held: unknown };

/** Gives the commands to a tool of its own, as alice. */
const tell = async (tool: Tool, image: Image, prefix: string, where = world.behind): Promise<Told> => {
  const { guarded } = world;
  const repositories = [`${prefix}/app`, `${prefix}/other`] as const;
  const plain = (text: string) => text.replaceAll(prefix, "…").replace(/(\/blobs\/uploads\/)[^ ]+/g, "$1…");
  let told: Told | undefined;
  await world.client(async (dir, network) => {
    const daemon = await tool.prepare?.(dir, network);
    const place = await Place.make(dir, network, "both");
    await logIn(place, "alice", GUARDED);
    const [app, other] = repositories.map((repository) => `${GUARDED}/${repository}`) as [string, string];
    const [layout, archive] = [await place.layout(image), await place.archive(image, `${app}:v1`)];
    const mark = await guarded.mark();
    const said: string[] = [];
    for (const argv of tool.commands({ layout, archive, digest: image.manifest.digest, app, other }, dir)) {
      const ran = await place.run(argv, { env: tool.env?.(dir) ?? {} });
      said.push(plain(`${argv.slice(0, 4).join(" ").replaceAll(dir, "")}: ${outcome(ran)}`));
    }
    const held = await Promise.all(repositories.map(contents)); // by then nginx has written its log
    const writes = (await guarded.hits(mark)).filter(({ method }) => method !== "GET" && method !== "HEAD");
    const asked = writes.map(({ method, path, status }) => plain(`${method} ${path} ${status}`)).toSorted();
    told = { said, asked, held };
    return { stop: async () => daemon?.stop() };
  }, where);
  return told!;
};

/** Each tag of a repository, and the digest that it leads to where all of it is there. */
const contents = async (repository: string): Promise<Record<string, string | undefined>> => {
  const { status, bytes } = await world.guarded.straight("GET", `/v2/${repository}/tags/list`);
  const { tags } = status === 200 ? (JSON.parse(bytes.toString()) as { tags: string[] | null }) : { tags: [] };
  return Object.fromEntries(
    await Promise.all((tags ?? []).toSorted().map(async (tag) => [tag, await world.guarded.whole(repository, tag)] as const)),
  );
};

describe.each(Object.entries(TOOLS))("%s", (name, tool) => {
  test("writes the same", async () => {
    onTestFailed(() => world.explain());
    const image = await Image.make(SIZE);
    const straight = await tell(tool, image, `alice/${name}-straight`, world.direct);
    expect(straight.said.filter((line) => !line.endsWith(": success"))).toEqual([]);
    expect(
      straight.asked.some((line) => line.startsWith("POST") && line.endsWith(" 201")),
      "something is mounted",
    ).toBe(true);
    const through = await tell(tool, image, `alice/${name}-through`);
    expect(through).toEqual(straight);
    const [app, other] = through.held as Record<string, string>[];
    const mark = await world.guarded.mark();
    for (const [repository, tags] of Object.entries({ app, other }))
      for (const [tag, digest] of Object.entries(tags!))
        expect(await reader.pull(`${GUARDED}/alice/${name}-through/${repository}:${tag}`)).toBe(digest);
    const blobs = (await world.guarded.hits(mark)).filter(({ path }) => path.includes("/blobs/"));
    expect(blobs, "what was pushed or mounted is held").toEqual([]);
    if (other!["v1"] === undefined)
      await expect(reader.pull(`${GUARDED}/alice/${name}-through/other:v1`)).rejects.toThrow(/MANIFEST_UNKNOWN/);
  });
});
