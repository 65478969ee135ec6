// `access: shared`: Layover's own credentials, from a file or from a Docker credential helper, and clients that have logged in nowhere.
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import { CLIENTS, type ClientName } from "./clients/every.ts";
import { Htpasswd } from "./htpasswd.ts";
import { Image } from "./image.ts";
import { pull, tell } from "./story.ts";
import { USERS } from "./tokens.ts";
import { Upstream } from "./upstream.ts";
import { GUARDED, QUAY, World } from "./world.ts";

const SECRET = USERS["alice"]!;
let world: World;
let basic: Upstream;

beforeAll(async () => {
  world = await World.start();
  const { authority, dir } = world;
  const users = await Htpasswd.make(`${dir}/htpasswd`);
  basic = await Upstream.make(authority, QUAY.host, QUAY.address, `${dir}/basic`, users, "docker-registry");
  await basic.start();
  await writeFile(`${dir}/password`, `${SECRET}\n`);
  await makeHelper();
  const sites = {
    [GUARDED]: { access: "shared", credentials: { username: "alice", passwordFile: `${dir}/password` } },
    [QUAY.host]: { access: "shared", credentials: { helper: "lab" } },
  };
  await world.layover.start({}, { sites }, { PATH: `${dir}/helpers:${process.env["PATH"]}` });
});
afterAll(async () => {
  await basic?.stop();
  await world?.stop();
});

/** `docker-credential-lab`, which writes down what it is asked for, and gives what it finds beside it. */
const makeHelper = async (): Promise<void> => {
  const folder = `${world.dir}/helpers`;
  await mkdir(folder);
  await writeFile(`${folder}/answer`, JSON.stringify({ ServerURL: QUAY.host, Username: "alice", Secret: SECRET }));
  await writeFile(`${folder}/docker-credential-lab`, `#!/bin/sh\ncat >>${folder}/asked\nexec cat ${folder}/answer\n`);
  await chmod(`${folder}/docker-credential-lab`, 0o700);
};

describe.each([
  ["from a file, to a registry behind a token server", GUARDED, () => world.guarded, "bob/private"],
  ["from a helper, to a registry with passwords of its own", QUAY.host, () => basic, undefined],
])("%s", (_, host, upstream, others) => {
  beforeAll(async () => {
    for (const repository of ["alice/private", "bob/private"])
      await upstream().put(await Image.make(64 * 1024), repository, "v1");
  });

  test.each<ClientName>(["docker-20.10", "docker-29", "podman", "skopeo"])("%s pulls what they may", async (name) => {
    onTestFailed(() => world.explain());
    const client = await world.client(CLIENTS[name]);
    const reads = (repository: string) => tell(client, [["pull", pull(host, repository), "success"]]);
    expect(await reads("alice/private")).toEqual(["pull: success"]);
    if (others) expect(await reads(others)).not.toEqual(["pull: success"]);
  });
});

test("the helper was asked for that registry alone, and the log tells no secret", async () => {
  const asked = await readFile(`${world.dir}/helpers/asked`, "utf8");
  expect(asked.replaceAll(QUAY.host, "").trim()).toBe("");
  const log = world.layover.tail(Number.POSITIVE_INFINITY);
  for (const secret of [SECRET, Buffer.from(`alice:${SECRET}`).toString("base64")]) expect(log).not.toContain(secret);
});
