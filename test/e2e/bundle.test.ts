// Over an air gap and back: a bundle that Layover writes is read by whoever reads such files, and by a second Layover that has no way out,
// from which real clients then pull under the real names.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import { Place } from "./clients/client.ts";
import { startContainerd } from "./clients/containerd.ts";
import { stored } from "./clients/daemonless.ts";
import { CLIENTS } from "./clients/every.ts";
import { ENTER, Far } from "./far.ts";
import { Image, Index } from "./image.ts";
import { SCRIPT } from "./layover.ts";
import { must, outcome, type Ran } from "./part.ts";
import { Upstream } from "./upstream.ts";
import { OPEN, QUAY, World } from "./world.ts";

const APP = `${OPEN}/acme/app:1`;
const MULTI = `${OPEN}/acme/multi:1`;
const SIGNED = `${QUAY.host}/acme/signed:1`;
const BIG = `${OPEN}/acme/big:1`;
const NOTE = "application/vnd.lab.note";
const SIZE = 256 * 1024;
const LARGE = 64 * 1024 * 1024;

let world: World;
let quay: Upstream;
let far: Far;
let place: Place;
let app: Image;
let multi: Index;
let signed: Image;
let note: string;
const at = (name: string) => `${world.dir}/${name}`;
const good = (ran: Ran): string => {
  expect(outcome(ran)).toBe("success");
  return ran.out;
};

beforeAll(async () => {
  world = await World.start();
  quay = await Upstream.make(world.authority, QUAY.host, QUAY.address, at("quay"), undefined, "referrers-registry");
  await quay.start();
  far = await Far.make(at("far"), [OPEN, QUAY.host]);
  await world.layover.start();
  [app, signed] = [await Image.make(SIZE), await Image.make(SIZE)];
  multi = await Index.make(SIZE);
  await world.open.put(app, "acme/app", "1");
  await world.open.putIndex(multi, "acme/multi", "1");
  await quay.put(signed, "acme/signed", "1");
  note = await (await world.client(CLIENTS.regctl)).attach!(SIGNED, NOTE);
  place = await world.client(
    async (dir, network) => Object.assign(await Place.make(dir, network, "both"), { stop: async () => {} }),
    {
      ...world.direct,
      ca: { certificate: world.authority.certificate, hosts: [QUAY.host] },
    },
  );
});
afterAll(async () => {
  await far?.stop();
  await quay?.stop();
  await world?.stop();
});

/** Runs it until `begun`, and then kills it as a power cut would. */
const killed = async (argv: readonly string[], cwd: string, begun: () => Promise<boolean>): Promise<void> => {
  const child = spawn(argv[0]!, argv.slice(1), { cwd, stdio: "ignore" });
  const exited = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  for (let tries = 0; tries < 20_000 && child.exitCode === null && !(await begun()); tries += 1) await sleep(1);
  child.kill("SIGKILL");
  expect((await exited)[1]).toBe("SIGKILL");
};

const sizeOf = async (path: string): Promise<number> => (await stat(path).catch(() => undefined))?.size ?? 0;

describe("a bundle", () => {
  test("has what is fetched for it, and is the same again", async () => {
    onTestFailed(() => world.explain());
    good(await world.layover.command("warm", "--all-platforms", MULTI));
    const mark = await world.open.mark();
    good(await world.layover.command("export", APP, MULTI, SIGNED, "-o", at("all.tar")));
    expect((await world.open.hits(mark)).some(({ path }) => path.startsWith("/v2/acme/app/"))).toBe(true);
    const again = await world.open.mark();
    good(await world.layover.command("export", MULTI, SIGNED, APP, "-o", at("again.tar")));
    expect(await world.open.blobBytes(again)).toBe(0);
    expect((await readFile(at("again.tar"))).equals(await readFile(at("all.tar")))).toBe(true);
    good(await world.layover.command("export", APP, "-o", at("app.tar")));
    const none = await world.layover.command("export", `${OPEN}/acme/nothing:1`, "-o", at("none.tar"));
    expect([none.code, none.err]).toEqual([1, expect.stringContaining("nothing was written")]);
    expect(await sizeOf(at("none.tar.part"))).toBe(0);
  });

  test("is copied by skopeo, regctl and oras with every digest, and by crane with its contents", async () => {
    const to = (name: string) => `${QUAY.host}/copied/${name}:1`;
    await place.must([
      "skopeo",
      "--insecure-policy",
      "copy",
      "--all",
      `oci-archive:${at("all.tar")}:${MULTI}`,
      `docker://${to("multi")}`,
    ]);
    expect((await quay.straight("HEAD", "/v2/copied/multi/manifests/1")).headers.get("docker-content-digest")).toBe(
      multi.manifest.digest,
    );
    for (const image of multi.images) expect(await quay.whole("copied/multi", image.manifest.digest)).toBe(image.manifest.digest);
    await place.must(["regctl", "image", "import", "--name", APP, to("regctl"), at("all.tar")]);
    expect(await quay.whole("copied/regctl", "1")).toBe(app.manifest.digest);
    await place.must(["oras", "copy", "-r", "--from-oci-layout", `${at("all.tar")}@${signed.manifest.digest}`, to("oras")]);
    expect(await quay.whole("copied/oras", "1")).toBe(signed.manifest.digest);
    expect(await place.must(["oras", "discover", to("oras")])).toContain(note);
    await place.must(["crane", "push", at("app.tar"), to("crane")]);
    const copied = JSON.parse((await quay.straight("GET", "/v2/copied/crane/manifests/1")).bytes.toString()) as {
      config: { digest: string };
    };
    expect(copied.config.digest).toBe(app.config.digest);
  });

  test("is loaded by podman, containerd and Docker, old and new", async () => {
    const podman = stored("podman", place.dir);
    await place.must([...podman, "pull", "-q", `oci-archive:${at("all.tar")}:${APP}`]);
    await place.must([...podman, "load", "-i", at("app.tar")]);
    expect(await place.must([...podman, "image", "inspect", "--format={{.Digest}}", APP])).toContain(app.manifest.digest);
    const containerd = await startContainerd(place);
    try {
      await place.must(["ctr", "-a", place.socket, "images", "import", at("all.tar")]);
      const held = await place.must(["ctr", "-a", place.socket, "images", "ls"]);
      expect(held).toMatch(new RegExp(`${APP} .*${app.manifest.digest}`));
      expect(held).toMatch(new RegExp(`${MULTI} .*${multi.manifest.digest}`));
    } finally {
      await containerd.stop();
    }
    for (const kind of ["classic", "containerd"] as const) {
      const engine = await world.engine(kind, world.direct);
      good(await engine.docker(["load", "-i", at("app.tar")]));
      expect(good(await engine.docker(["image", "inspect", "--format={{.RepoTags}}", APP]))).toContain(APP);
      if (kind === "containerd") good(await engine.docker(["save", "-o", at("docker.tar"), APP]));
    }
  });

  test("for which there is no room is told before a byte of it is written", async () => {
    await mkdir(at("small"));
    await must(["mount", "-t", "tmpfs", "-o", "size=256k", "small", at("small")]);
    const ran = await world.layover.command("export", APP, "-o", at("small/app.tar"));
    await must(["umount", at("small")]);
    expect([ran.code, ran.err]).toEqual([1, expect.stringMatching(/needs .* more, and .* are free/)]);
  });

  test("that was killed in its middle is gone on with", async () => {
    onTestFailed(() => world.explain());
    await world.open.put(await Image.make(LARGE), "acme/big", "1");
    good(await world.layover.command("warm", BIG));
    const [file, part] = [at("big.tar"), at("big.tar.part")];
    const argv = [process.execPath, SCRIPT, "export", BIG, "-o", file, "--config", `${world.layover.data}/../layover.yaml`];
    await killed(argv, world.dir, async () => (await sizeOf(part)) > 4 * 1024 * 1024);
    expect([await sizeOf(file), (await sizeOf(part)) > 0]).toEqual([0, true]);
    const report = JSON.parse(good(await world.layover.command("export", BIG, "-o", file, "--json"))) as {
      bytes: number;
      resumed: number;
    };
    expect(report.resumed).toBeGreaterThan(4 * 1024 * 1024);
    expect(await sizeOf(file)).toBe(report.bytes);
    good(await world.layover.command("export", BIG, "-o", at("whole.tar")));
    expect((await readFile(file)).equals(await readFile(at("whole.tar")))).toBe(true);
  });
});

describe("the far side", () => {
  test("goes on with an import that was killed, before it ever runs", async () => {
    const put = async () => (await readdir(`${far.dir}/data/spool`).catch(() => [])).length > 0;
    await killed([...ENTER, ...far.argv("import", at("big.tar"))], far.dir, put);
    expect((await far.command("cache", "ls", `${OPEN}/acme/big`)).out).not.toContain("sha256:");
    expect(good(await far.command("import", at("big.tar")))).toContain(`${BIG}  new`);
  });

  test("is given the rest while it serves, and real clients pull all of it under its names", async () => {
    onTestFailed(() => console.error(far.tail()));
    await far.start();
    const said = good(await far.command("import", at("all.tar")));
    for (const name of [APP, MULTI, SIGNED]) expect(said).toContain(`${name}  new`);
    expect(good(await far.command("import", at("all.tar")))).toContain("0 blobs taken in");
    const network = far.around([OPEN, QUAY.host], world.authority.certificate);
    const docker = await world.client(CLIENTS["docker-29"], network);
    const old = await world.client(CLIENTS["docker-20.10"], network);
    for (const client of [docker, old]) {
      expect(await client.pull(APP)).toBe(app.manifest.digest);
      expect(await client.pull(MULTI)).toBe(multi.manifest.digest);
    }
    expect(await docker.pull(BIG)).toMatch(/^sha256:/);
    const regctl = await world.client(CLIENTS.regctl, network);
    expect(await regctl.referrers!(SIGNED)).toEqual([note]);
  });

  test("takes in what others have written", async () => {
    const layout = await place.layout(app);
    await place.must([
      "skopeo",
      "--insecure-policy",
      "copy",
      `oci:${layout}:v1`,
      `oci-archive:${at("skopeo.tar")}:${OPEN}/others/skopeo:1`,
    ]);
    await place.must(["regctl", "image", "export", `${QUAY.host}/copied/multi:1`, at("regctl.tar")]);
    const podman = stored("podman", place.dir);
    await place.must([...podman, "save", "--format=oci-archive", "-o", at("podman.tar"), APP]);
    expect(good(await far.command("import", at("skopeo.tar")))).toContain(`${OPEN}/others/skopeo:1  new`);
    const named = `${OPEN}/others/regctl:1`;
    expect(good(await far.command("import", at("regctl.tar"), "--as", named))).toContain(`${named}  new`);
    const other = `${OPEN}/others/podman:1`;
    expect(good(await far.command("import", at("podman.tar"), "--as", other))).toContain(`${other}  new`);
    const docker = `${OPEN}/others/docker:1`;
    expect(good(await far.command("import", at("docker.tar"), "--as", docker))).toContain(`${docker}  new`);
    const regctl = await world.client(CLIENTS.regctl, far.around([OPEN], world.authority.certificate));
    expect(await regctl.pull(`${OPEN}/others/skopeo:1`)).toBe(app.manifest.digest);
    expect(good(await far.command("cache", "show", named))).toContain(multi.manifest.digest);
  });
});
