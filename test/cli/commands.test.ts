import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { emptyFolder, layover } from "./command.ts";
import { makeRoot } from "./roots.ts";

describe("config", () => {
  it("check says what it amounts to", async () => {
    const { code, stdout, stderr } = await layover(["config", "check"], emptyFolder(), { LAYOVER_ANSER: "1" });
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: "warning: LAYOVER_ANSER is set, but no such key exists; did you mean LAYOVER_ANSWER?\n",
    });
    expect(stdout).toMatch(/^OK: no file, the defaults; stands in for registry-1\.docker\.io, ghcr\.io,/);
  });

  it("check ends with 2 and every problem", async () => {
    const cwd = emptyFolder();
    writeFileSync(join(cwd, "my.yaml"), "nmae: x\nanswer: y\n");
    const { code, stdout, stderr } = await layover(["config", "check", "--config", "my.yaml"], cwd);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toBe(
      'my.yaml:1:1 nmae: unknown key; did you mean name?\nmy.yaml:2:1 answer.0: expected "auto" or an address that clients can reach, found "y"\n2 problems in the configuration\n',
    );
  });

  it("show prints the whole of it without secrets", async () => {
    const cwd = emptyFolder();
    writeFileSync(join(cwd, "layover.yaml"), 'sites: { ghcr.io: { access: shared, credentials: { token: "$' + '{TOKEN}" } } }');
    const { stdout } = await layover(["config", "show"], cwd, { TOKEN: "hunter2" });
    expect(stdout).toContain("token: <set>");
    expect(stdout).not.toContain("hunter2");
  });
});

const root = makeRoot(["ghcr.io"]);

describe("setup docker", () => {
  const home = () => {
    const cwd = emptyFolder();
    mkdirSync(join(cwd, "certs"));
    writeFileSync(join(cwd, "certs/ca.crt"), root.pem);
    writeFileSync(join(cwd, "layover.yaml"), "answer: 10.0.0.5\nlisten: { dns: 10.0.0.6:53 }\n");
    return cwd;
  };

  it("prints, writes under a folder, and undoes without the CA", async () => {
    const cwd = home();
    const target = emptyFolder();
    const page = await layover(["setup", "docker"], cwd);
    expect(page.stdout).toContain("with 10.0.0.5; its DNS is 10.0.0.6.");
    expect(page.stdout).toContain(root.certificate.fingerprint256);
    expect(await layover(["setup", "docker", "--write", "--root", target], cwd)).toMatchObject({ code: 0 });
    expect(readFileSync(join(target, "etc/docker/certs.d/quay.io/ca.crt"), "utf8")).toBe(root.pem);
    expect(readFileSync(join(target, "etc/resolv.conf"), "utf8")).toContain("nameserver 10.0.0.6");
    expect(await layover(["setup", "docker", "--undo", "--root", target], emptyFolder())).toMatchObject({ code: 0 });
    expect(existsSync(join(target, "etc"))).toBe(false);
  });

  it("does so for other clients and doors, and for a unit of its own without any CA", async () => {
    const [cwd, target] = [home(), emptyFolder()];
    const page = await layover(["setup", "podman", "--door", "mirror"], cwd);
    expect(page.stdout).toContain('location = "layover/quay.io"');
    expect(await layover(["setup", "podman", "--door", "mirror", "--write", "--root", target], cwd)).toMatchObject({ code: 0 });
    expect(readFileSync(join(target, "etc/hosts"), "utf8")).toBe("10.0.0.5 layover # Layover\n");
    expect(await layover(["setup", "podman", "--undo", "--root", target], cwd)).toMatchObject({ code: 0 });
    const bare = emptyFolder();
    writeFileSync(join(bare, "layover.yaml"), "listen: { dns: 10.0.0.6:5353 }\n");
    const unit = await layover(["setup", "service", "--only", "dns"], bare);
    expect(unit.stdout).toContain(`--config ${join(bare, "layover.yaml")} --only dns`);
    expect(unit.stdout).toContain("AmbientCapabilities=\n");
    expect(await layover(["setup", "service", "--write", "--root", target], bare)).toMatchObject({ code: 0 });
    expect(existsSync(join(target, "etc/systemd/system/layover.service"))).toBe(true);
    expect(await layover(["setup", "service", "--undo", "--root", target], bare)).toMatchObject({ code: 0 });
    expect(existsSync(join(target, "etc"))).toBe(false);
  });

  it.each([
    [["setup", "nobody"], "no set-up for nobody; there are: docker, containerd"],
    [["setup", "system", "--door", "mirror"], "no door mirror for system here; there are: hijack"],
    [["setup", "service", "--only", "both"], "--only takes dns or front"],
  ])("refuses what there is not: %j", async (args, message) => {
    const { code, stdout, stderr } = await layover(args, home());
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(message);
  });

  it("takes the CA from a Layover elsewhere, and says its fingerprint", async () => {
    const server = createServer((request, response) => {
      if (request.url === "/ca.crt") response.end(root.pem);
      else if (request.url === "/client.json") response.end('{"names":["registry.corp.example"],"own":["kiosk"]}');
      else response.writeHead(404).end();
    }).listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { code, stdout, stderr } = await layover(["setup", "docker", "--server", url], emptyFolder());
    expect(code).toBe(0);
    expect(stderr).toContain(root.certificate.fingerprint256);
    expect(stdout).toContain("with 127.0.0.1; its DNS is 127.0.0.1.");
    expect(stdout).toContain(`curl -fsS ${url}/setup/docker`);
    // it knows its own sites best
    expect(stdout).toContain("/etc/docker/certs.d/registry.corp.example/ca.crt");
    expect(stdout).not.toContain("ghcr.io");
    const refused = await layover(["setup", "docker", "--server", url, "--fingerprint", "00:11"], emptyFolder());
    expect(refused).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("not the one that you named") });
  });

  it.each([
    [[], "the CA's certificate is needed"],
    [["--server", "http://127.0.0.1:1"], "cannot fetch http://127.0.0.1:1/ca.crt"],
    [["--write", "--undo"], "opposites"],
  ])("says what it lacks: %j", async (args, message) => {
    const { code, stderr, stdout } = await layover(["setup", "docker", ...args], emptyFolder());
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(message);
  });
});

describe("doctor", () => {
  it("looks at everything within its time, for people and for programs", async () => {
    const cwd = emptyFolder();
    const yaml =
      "listen: { dns: 127.0.0.1:1, https: 127.0.0.1:2, http: 127.0.0.1:3, admin: 127.0.0.1:4 }\nresolvers: 127.0.0.1:5\n";
    writeFileSync(join(cwd, "layover.yaml"), yaml);
    const { code, stdout } = await layover(["doctor", "--json"], cwd);
    expect(code).toBe(1);
    const findings = JSON.parse(stdout) as { check: string; status: string; mend?: string }[];
    expect(new Set(findings.map(({ check }) => check))).toEqual(
      new Set([
        "dns",
        "resolvers",
        "ca",
        "ports",
        "upstream",
        "clock",
        "disk",
        ...findings.filter(({ check }) => check === "container" || check === "docker").map(({ check }) => check),
      ]),
    );
    expect(findings.every(({ status, mend }) => status === "ok" || mend !== undefined)).toBe(true);
    expect((await layover(["doctor"], cwd)).stdout).toMatch(
      /^fail {2}dns {8}Layover's DNS on 127\.0\.0\.1:1 does not answer: nobody listens there\n +→ start it/,
    );
  });
});
