// The set-ups of compose/ in which builders are told of Layover, rather than led to it; and the builder that knows nobody else.
import { readFile } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { moved, publish } from "./compose-pulls.ts";
import { outcome } from "./part.ts";
import { ELSEWHERE, Project, type Yard } from "./project.ts";
import { USERS } from "./tokens.ts";

const DIRECT = new URL("../../compose/direct.Dockerfile", import.meta.url);

/** Up with so many builders for all of a describe; its logs are printed with what fails. */
const projectFor = (yard: () => Yard, file: string, builders: number): (() => Project) => {
  let project: Project | undefined;
  beforeAll(async () => {
    project = await Project.make(yard(), file);
    await project.up(builders);
  }, 150_000);
  afterAll(() => project?.down());
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") console.error(await project?.explain());
  });
  return () => project!;
};

export const ways = (yard: () => Yard): void => {
  describe.each(["mirror.yml", "mirror-tls.yml"])("%s", (file) => {
    const project = projectFor(yard, file, 2);
    const { length } = file; // so that repositories differ

    test("Docker Hub's images come through the mirror, once for all builders, by their bare names too", async () => {
      const { hub } = yard();
      for (const [repository, name] of [
        [`acme/m${length}`, `acme/m${length}:v1`],
        [`library/m${length}`, `m${length}:v1`],
      ] as const) {
        const { image, mark } = await publish(hub, repository);
        expect(outcome(await project().builder(1, "pull", name))).toBe("success");
        expect(await moved(hub, mark, image.size)).toBe(image.size);
        expect(outcome(await project().builder(2, "pull", name))).toBe("success");
        expect(await hub.blobBytes(mark)).toBe(image.size);
      }
    });

    test("other registries' are pulled as ever", async () => {
      const { image, name, mark } = await publish(yard().ghcr, `acme/m${length}`);
      expect(outcome(await project().builder(1, "pull", name))).toBe("success");
      expect(await moved(yard().ghcr, mark, image.size)).toBe(image.size);
    });

    test("with the mirror stopped, Docker goes to the Hub itself", async () => {
      await project().must("stop", "layover");
      const { image, mark } = await publish(yard().hub, `acme/m${length}-direct`);
      expect(outcome(await project().builder(1, "pull", `acme/m${length}-direct:v1`))).toBe("success");
      expect(await moved(yard().hub, mark, image.size)).toBe(image.size);
    });
  });

  describe("direct.yml", () => {
    const project = projectFor(yard, "direct.yml", 2);

    test("Layover's name in front of any registry's image pulls it, once for all builders", async () => {
      const { image, name, mark } = await publish(yard().ghcr, "acme/direct/app");
      expect(outcome(await project().builder(1, "pull", `layover.internal/${name}`))).toBe("success");
      expect(await moved(yard().ghcr, mark, image.size)).toBe(image.size);
      expect(outcome(await project().builder(2, "pull", `layover.internal/${name}`))).toBe("success");
      expect(await yard().ghcr.blobBytes(mark)).toBe(image.size);
    });

    test("and Docker Hub's where none is named", async () => {
      const { image, mark } = await publish(yard().hub, "library/tool");
      expect(outcome(await project().builder(1, "pull", "layover.internal/tool:v1"))).toBe("success");
      expect(await moved(yard().hub, mark, image.size)).toBe(image.size);
    });

    test("a Dockerfile with ARG REGISTRY builds with and without it", async () => {
      const { image, mark } = await publish(yard().hub, "library/busybox", "latest");
      const dockerfile = await readFile(DIRECT, "utf8");
      const build = (...args: string[]) => project().feed(dockerfile, "builder", "docker", "build", "-t", "built", ...args, "-");
      expect(outcome(await build("--build-arg", "REGISTRY=layover.internal/docker.io"))).toBe("success");
      expect(await moved(yard().hub, mark, image.size)).toBe(image.size);
      expect(outcome(await build())).toBe("success");
      expect(outcome(await project().builder(1, "image", "inspect", "built"))).toBe("success");
    });
  });

  describe("sealed.yml", () => {
    const project = projectFor(yard, "sealed.yml", 2);

    test("the builder has no way out", async () => {
      const { ghcr } = yard();
      const tried = await project().exec("builder", "busybox", "nc", "-w", "3", ghcr.address, "443");
      expect(tried).toMatchObject({ code: 1, err: expect.stringMatching(/unreachable|timed out/i) });
      expect((await project().exec("builder", "nslookup", ELSEWHERE.name)).out).not.toContain(ELSEWHERE.address);
    });

    test("what it pulls comes through Layover, which has one, once for all builders", async () => {
      for (const upstream of [yard().ghcr, yard().hub]) {
        const { image, name, mark } = await publish(upstream, "acme/sealed");
        const reference = name.replace("registry-1.docker.io/", "");
        expect(outcome(await project().builder(1, "pull", reference))).toBe("success");
        expect(await moved(upstream, mark, image.size)).toBe(image.size);
        expect(outcome(await project().builder(2, "pull", reference))).toBe("success");
        expect(await upstream.blobBytes(mark)).toBe(image.size);
      }
    });

    test("and so does what needs a login, whose token server is passed on untouched", async () => {
      const { image, name, mark } = await publish(yard().guarded, "alice/sealed");
      expect((await project().builder(1, "pull", name)).code).not.toBe(0);
      const login = ["docker", "login", yard().guarded.host, "-u", "alice", "--password-stdin"];
      expect(outcome(await project().feed(USERS["alice"]!, "builder", ...login))).toBe("success");
      expect(outcome(await project().builder(1, "pull", name))).toBe("success");
      expect(await moved(yard().guarded, mark, image.size)).toBe(image.size);
      expect((await project().builder(2, "pull", name)).code).not.toBe(0); // who has not logged in gets nothing of what is held
    });

    test("and what it pushes goes through Layover to the real registry", async () => {
      const { image, name } = await publish(yard().gitlab, "acme/sealed");
      const pushed = "registry.gitlab.com/acme/sealed/pushed";
      expect(outcome(await project().builder(1, "pull", name))).toBe("success");
      expect(outcome(await project().builder(1, "tag", name, `${pushed}:v1`))).toBe("success");
      expect(outcome(await project().builder(1, "push", `${pushed}:v1`))).toBe("success");
      expect(await yard().gitlab.whole("acme/sealed/pushed", "v1")).toBe(image.manifest.digest);
    });
  });
};
