// The files of compose/ as they stand, in real containers: Layover's own image, and engines within containers as builders.
import { writeFile } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { moved, publish } from "./compose-pulls.ts";
import { ways } from "./compose-ways.ts";
import { lookup } from "./internet.ts";
import { BUILDER_IMAGE, buildBases, buildBuilder, LAYOVER_IMAGE } from "./local-images.ts";
import { outcome } from "./part.ts";
import { ELSEWHERE, Project, RESOLVER, Yard } from "./project.ts";
import { until } from "./until.ts";

const LAYOVER = ["node", "/opt/layover/scripts/layover.mjs"];

let yard: Yard;

beforeAll(async () => {
  yard = await Yard.start();
  await buildBases(yard.engine, yard.dir);
  await buildBuilder(yard.engine, yard.dir);
  await (await Project.make(yard, "alias.yml")).build();
}, 400_000);
afterAll(() => yard?.stop());

describe.each(["alias.yml", "dns.yml"])("%s", (file) => {
  let project: Project;
  beforeAll(async () => {
    project = await Project.make(yard, file);
    await project.up(1);
  }, 150_000);
  afterAll(() => project?.down());

  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") console.error(await project.explain());
  });

  test.runIf(file === "alias.yml")(
    "Layover is healthy, may do nothing that it need not, and carries nothing that it need not",
    async () => {
      expect(await project.inspect("{{.State.Health.Status}} {{.Config.User}} {{.HostConfig.ReadonlyRootfs}}")).toBe(
        "healthy 10001:10001 true",
      );
      const { packages, ...seen } = await project.inside();
      expect(seen).toEqual({
        uid: "10001",
        capabilities: "0000000000000000",
        noNewPrivileges: "1",
        zombies: 0,
        root: ["EROFS", "EROFS", "EROFS"],
        volumes: ["written", "written", "written"],
        public: ["ca.crt"],
        installed: ["compiled", "node_modules", "package.json", "scripts", "src"],
      });
      // of a scope its folder
      const wanted = Object.keys(manifest.dependencies).map((name) => name.split("/")[0]);
      expect(packages).toEqual(expect.arrayContaining(wanted));
      expect(packages).not.toEqual(
        expect.arrayContaining([expect.stringMatching(/^(typescript|vitest|knip|oxlint.*|@biomejs|@types)$/)]),
      );
    },
  );

  test("a cold pull under the image's own name moves every blob once, and what was pulled runs", async () => {
    for (const upstream of [yard.ghcr, yard.gitlab]) {
      const { image, name, mark } = await publish(upstream, `acme/${file}/cold`);
      expect(outcome(await project.builder(1, "pull", name))).toBe("success");
      expect(await moved(upstream, mark, image.size)).toBe(image.size);
      const { out } = await project.builder(1, "image", "inspect", "-f", "{{index .RepoDigests 0}}", name);
      expect(out.trim()).toBe(`${name.replace(/:v1$/, "")}@${image.manifest.digest}`);
      expect(await project.builder(1, "run", "--rm", "--network=none", name, "sh", "-c", "exit 42")).toMatchObject({ code: 42 });
    }
  });

  test("two more builders pull what the first has pulled, and nothing moves upstream", async () => {
    const { image, name, mark } = await publish(yard.ghcr, `acme/${file}/scaled`);
    expect(outcome(await project.builder(1, "pull", name))).toBe("success");
    expect(await moved(yard.ghcr, mark, image.size)).toBe(image.size);
    await project.up(3);
    const pulls = await Promise.all([2, 3].map((index) => project.builder(index, "pull", name)));
    expect(pulls.map(outcome)).toEqual(["success", "success"]);
    expect(await yard.ghcr.blobBytes(mark)).toBe(image.size);
  });

  test("three builders at the same time make one upstream download", async () => {
    await project.up(3);
    const { image, name, mark } = await publish(yard.ghcr, `acme/${file}/together`);
    const pulls = await Promise.all([1, 2, 3].map((index) => project.builder(index, "pull", name)));
    expect(pulls.map(outcome)).toEqual(["success", "success", "success"]);
    expect(await moved(yard.ghcr, mark, image.size)).toBe(image.size);
  });

  test("a builder's own doctor finds nothing", async () => {
    const { out } = await project.exec("builder", "sh", "-c", "wget -q -O - http://layover/doctor | sh");
    expect(out.split("\n").filter((line) => /^(fail|warn|\d)/.test(line))).toEqual(["0 wrong, 0 to look at"]);
    expect(out).toMatch(/^ok +tls +certificates of Layover's CA are shown for registry-1\.docker\.io/m);
  });

  test("a push gets to the real registry", async () => {
    const { image, name } = await publish(yard.gitlab, `acme/${file}/pulled`);
    const pushed = `registry.gitlab.com/acme/${file}/pushed`;
    expect(outcome(await project.builder(1, "pull", name))).toBe("success");
    expect(outcome(await project.builder(1, "tag", name, `${pushed}:v1`))).toBe("success");
    expect(outcome(await project.builder(1, "push", `${pushed}:v1`))).toBe("success");
    expect(await yard.gitlab.whole(`acme/${file}/pushed`, "v1")).toBe(image.manifest.digest);
  });

  test("names that are not Layover's keep their addresses", async () => {
    expect((await project.exec("builder", "nslookup", ELSEWHERE.name)).out).toContain(ELSEWHERE.address);
  });

  test.runIf(file === "alias.yml")(
    "a stop ends well and in time; what was held is held after it, under the same CA",
    async () => {
      const { image, name, mark } = await publish(yard.ghcr, `acme/${file}/kept`);
      expect(outcome(await project.builder(1, "pull", name))).toBe("success");
      expect(await moved(yard.ghcr, mark, image.size)).toBe(image.size);
      const roots = (await project.exec("layover", "node", "/opt/layover/scripts/layover.mjs", "ca", "show")).out;
      const stopped = await project.run("stop", "layover");
      expect(stopped.code).toBe(0);
      console.info(`stopped in ${stopped.ms} ms`);
      expect(stopped.ms).toBeLessThan(9_000); // what is under way would get 10 s; killing would begin after 20
      expect(await project.inspect("{{.State.ExitCode}} {{.State.OOMKilled}}")).toBe("0 false");
      await project.must("rm", "--force", "layover"); // another container, the same volumes
      await project.up(1);
      expect((await project.exec("layover", "node", "/opt/layover/scripts/layover.mjs", "ca", "show")).out).toBe(roots);
      expect(roots).toContain("SHA-256");
      expect(outcome(await project.builder(1, "image", "rm", name))).toMatch(/^success/);
      expect(outcome(await project.builder(1, "pull", name))).toBe("success");
      expect(await yard.ghcr.blobBytes(mark)).toBe(image.size);
    },
  );

  test.runIf(file === "alias.yml")("without its cache it begins anew, and builders trust it as before", async () => {
    const { image, name, mark } = await publish(yard.ghcr, `acme/${file}/anew`);
    expect(outcome(await project.builder(1, "pull", name))).toBe("success");
    await project.must("rm", "--stop", "--force", "layover");
    await yard.docker("volume", "rm", `${await project.name()}_data`);
    await project.up(1);
    expect(outcome(await project.builder(1, "image", "rm", name))).toMatch(/^success/);
    expect(outcome(await project.builder(1, "pull", name))).toBe("success");
    expect(await moved(yard.ghcr, mark, 2 * image.size)).toBe(2 * image.size);
  });
});

ways(() => yard);

test("the aliases lead Layover's own container to itself, and it goes to the registries all the same; with Layover stopped builders do", async () => {
  const project = await Project.make(yard, "alias.yml");
  try {
    await project.up(1);
    const look = "dns.promises.lookup('ghcr.io').then(({ address }) => console.log(address))";
    const address = (await project.exec("layover", "node", "-e", look)).out.trim();
    expect((await project.inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")).trim()).toBe(address);
    const through = await publish(yard.ghcr, "acme/looped");
    expect(outcome(await project.builder(1, "pull", through.name))).toBe("success");
    expect(await moved(yard.ghcr, through.mark, through.image.size)).toBe(through.image.size);
    const doctor = async (...env: string[]) => (await project.run("exec", "-T", ...env, "layover", ...LAYOVER, "doctor")).out;
    expect(await doctor()).toMatch(/^ok +upstream +ghcr\.io answers/m);
    // Docker's DNS, which knows the aliases
    const looping = await doctor("--env=LAYOVER_RESOLVERS=127.0.0.11");
    expect(looping).toMatch(/^fail +resolvers +127\.0\.0\.11:53 answers .* with Layover's own address: it asks Layover$/m);
    expect(looping).toMatch(/^fail +upstream +ghcr\.io: .* is Layover itself: a loop/m);

    await project.must("stop", "layover");
    const { image, name, mark } = await publish(yard.ghcr, "acme/direct");
    expect(outcome(await project.builder(1, "pull", name))).toBe("success");
    expect(await moved(yard.ghcr, mark, image.size)).toBe(image.size);
  } finally {
    await project.down();
  }
});

test("managed.yml: builders get what the list names, as the last sync brought it, and the digest of before after a rollback", async () => {
  const [repository, tag, name] = ["library/node", "24", "node:24"];
  for (const other of ["22", "24-alpine"]) await publish(yard.hub, repository, other);
  await publish(yard.hub, "library/alpine", "3.20");
  await publish(yard.ghcr, "regclient/regctl", "latest");
  const first = await publish(yard.hub, repository, tag);
  const project = await Project.make(yard, "managed.yml");
  try {
    await project.up(1);
    const layover = async (...args: string[]) => project.must("exec", "-T", "layover", ...LAYOVER, ...args);
    const pulled = async () => {
      expect(outcome(await project.builder(1, "pull", name))).toBe("success");
      return (await project.builder(1, "image", "inspect", "-f", "{{index .RepoDigests 0}}", name)).out.trim();
    };
    await layover("mirror", "sync");
    expect(await pulled()).toBe(`node@${first.image.manifest.digest}`);
    const second = await publish(yard.hub, repository, tag);
    expect(await pulled()).toBe(`node@${first.image.manifest.digest}`);
    expect(await layover("mirror", "sync", "--run", "7")).toMatch(/1 done.*\(run 7\)/);
    expect(await pulled()).toBe(`node@${second.image.manifest.digest}`);
    await layover("tags", "rollback", "docker.io/library/node:24");
    expect(await pulled()).toBe(`node@${first.image.manifest.digest}`);
    await publish(yard.hub, repository, "23");
    expect(outcome(await project.builder(1, "pull", "node:23"))).toMatch(/not in this mirror/);
  } finally {
    await project.down();
  }
});

test("while its front end hangs, Layover's DNS leads builders to the registries themselves, and back once it is well", async () => {
  const project = await Project.make(yard, "dns.yml");
  try {
    await project.up(1);
    const leads = async () => /Address: (?!.*:53)(\S+)\s*$/.exec((await project.exec("builder", "nslookup", "ghcr.io")).out)?.[1];
    const own = await leads();
    expect(own).not.toBe(yard.ghcr.address);
    const children = (
      await project.must("exec", "-T", "layover", "node", "-p", "fs.readFileSync('/proc/1/task/1/children', 'utf8')")
    ).trim();
    const signal = (name: string) => project.exec("layover", "node", "-e", `process.kill(${children}, '${name}')`);
    expect(outcome(await signal("SIGSTOP"))).toBe("success");
    await until("names to lead past Layover", 15_000, async () => (await leads()) === yard.ghcr.address);
    const { image, name, mark } = await publish(yard.ghcr, "acme/past");
    expect(outcome(await project.builder(1, "pull", name))).toBe("success");
    expect(await moved(yard.ghcr, mark, image.size)).toBe(image.size);
    await signal("SIGCONT"); // a new one may be in its place already
    await until("its front end to be well again", 40_000, async () => (await leads()) === own);
  } finally {
    await project.down();
  }
});

describe("the image by itself", () => {
  const containers: string[] = [];
  afterEach(async () => {
    for (const id of containers.splice(0)) await yard.docker("rm", "--force", "--volumes", id);
  });

  const start = async (...args: string[]): Promise<string> => {
    const id = (
      await yard.docker("run", "-d", "--read-only", `--env=LAYOVER_RESOLVERS=${RESOLVER}`, ...args, LAYOVER_IMAGE)
    ).trim();
    containers.push(id);
    return id;
  };
  const inspect = async (id: string, template: string): Promise<string> =>
    (await yard.docker("inspect", "-f", template, id)).trim();
  const healthy = (id: string) =>
    until("it to be healthy", 30_000, async () => (await inspect(id, "{{.State.Health.Status}}")) === "healthy");
  const health = (id: string, ...args: string[]) =>
    yard.engine.docker(["exec", ...args, id, "node", "/opt/layover/scripts/layover.mjs", "health"]);

  test("is little more than Node, and says what it is", async () => {
    const layers = (await yard.docker("history", "--human=false", "--format={{.Size}}", LAYOVER_IMAGE))
      .trim()
      .split("\n")
      .map(Number);
    const size = layers.reduce((sum, each) => sum + each, 0);
    console.info(`Layover's image on a base of libraries alone: ${(size / 1e6).toFixed(0)} MB`);
    expect(size).toBeLessThan(180e6);
    expect(await yard.docker("run", "--rm", "--read-only", LAYOVER_IMAGE, "config", "check")).toMatch(
      /^OK: no file, the defaults/,
    );
  });

  test("has been compiled, so that no container's start does it", async () => {
    const debug = "--env=NODE_DEBUG_NATIVE=COMPILE_CACHE";
    const { err } = await yard.engine.docker(["run", "--rm", "--read-only", debug, LAYOVER_IMAGE, "config", "check"]);
    expect(err).toMatch(/src\/cli\/config\.ts was accepted/);
    expect(err.split("\n").filter((line) => /\/opt\/layover\/src\/\S+ was (rejected|not)/.test(line))).toEqual([]);
  });

  test("finds a configuration that is mounted into its folder", async () => {
    const file = `${yard.dir}/mine.yaml`;
    await writeFile(file, "sites: { quay.io: false }\n");
    const inside = "/var/lib/layover/layover.yaml";
    const out = await yard.docker(
      "run",
      "--rm",
      "--read-only",
      `--volume=${file}:${inside}:ro`,
      LAYOVER_IMAGE,
      "config",
      "check",
    );
    expect(out).toMatch(new RegExp(`^OK: ${inside}; stands in for (?!.*quay\\.io)`));
  });

  test("says by its health check what is wrong, also where loopback is no client", async () => {
    const id = await start("--env=LAYOVER_CLIENTS=172.16.0.0/12");
    await healthy(id);
    expect(outcome(await health(id))).toBe("success");
    expect(await health(id, "--env=LAYOVER_LISTEN_HTTP=127.0.0.1:81")).toMatchObject({
      code: 1,
      err: "http://127.0.0.1:81/readyz: connect ECONNREFUSED 127.0.0.1:81\n",
    });
  });

  test("stops at once while it waits for another one to leave its volumes", async () => {
    const first = await start();
    await healthy(first);
    const second = await start(`--volumes-from=${first}`);
    const address = await inspect(second, "{{.NetworkSettings.Networks.bridge.IPAddress}}");
    await until("its DNS, which does not wait, to answer", 10_000, () =>
      lookup(address, "_dns.resolver.arpa").catch((error: NodeJS.ErrnoException) => error.code === "ENODATA"),
    );
    expect(await inspect(second, "{{.State.Health.Status}}")).toBe("starting");
    const stopped = await yard.engine.docker(["stop", "--time=20", second]);
    expect(stopped.code).toBe(0);
    expect(stopped.ms).toBeLessThan(5_000);
    expect(await inspect(second, "{{.State.ExitCode}}")).toBe("0");
    expect(await inspect(first, "{{.State.Status}}")).toBe("running");
  });

  test("ends by a signal whatever it does, though the first process of a container is ended by none of itself", async () => {
    const file = `${yard.dir}/busy.ts`;
    await writeFile(file, 'console.log("busy"); setInterval(() => {}, 1_000);\n');
    const id = await start(`--volume=${file}:/opt/layover/src/main.ts:ro`);
    await until("it to be busy", 10_000, async () => (await yard.docker("logs", id)).includes("busy"));
    const stopped = await yard.engine.docker(["stop", "--time=20", id]);
    expect(stopped.ms).toBeLessThan(5_000);
    expect(await inspect(id, "{{.State.ExitCode}}")).toBe("143");
  });

  test("with no `answer` it leads its own network's containers here, and nobody who may come from elsewhere", async () => {
    const id = await start();
    await healthy(id);
    const address = await inspect(id, "{{.NetworkSettings.Networks.bridge.IPAddress}}");
    expect(await yard.docker("run", "--rm", "--entrypoint=nslookup", BUILDER_IMAGE, "ghcr.io", address)).toMatch(
      new RegExp(`ghcr\\.io\\nAddress: ${address}\\n`),
    );
    expect(await lookup(address, "ghcr.io")).toMatchObject([{ address: yard.ghcr.address }]); // asked from the gateway
  });

  test("with its ports published and `answer` set to the host's address it serves other machines", async () => {
    const host = ELSEWHERE.address;
    const ports = ["53:53/udp", "53:53/tcp", "443:443", "80:80"].map((port) => `--publish=${host}:${port}`);
    await healthy(await start(...ports, `--env=LAYOVER_ANSWER=${host}`));
    expect(await lookup(host, "ghcr.io")).toMatchObject([{ address: host }]);
    const page = async (path: string) => (await fetch(`http://${host}${path}`)).text();
    expect(await page("/")).toContain(`http://${host}/ca.crt`);
    expect(await page("/setup/docker")).toContain(`dns='${host}'`);
  });
});
