// `layover cache …` as people and scripts run it: with a server, without one, and with what stands in the way.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer as createTcp } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Listing, Shown } from "../../src/admin/answers.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { tokenOf } from "../admin/asking.ts";
import { MANIFEST, stock } from "../admin/stock.ts";
import { Front, freePort } from "../front.ts";
import { emptyFolder, layover, run } from "./command.ts";

const MAIN = join(import.meta.dirname, "../../src/main.ts");

const stocked = async (settings: object = {}): Promise<string> => {
  const folder = emptyFolder();
  await stock(folder);
  writeFileSync(
    join(folder, "layover.yaml"),
    JSON.stringify({ listen: { admin: `127.0.0.1:${await freePort()}` }, ...settings }),
  );
  return folder;
};

const served = async (listen: object = {}): Promise<Front> => {
  const front = new Front("http://127.0.0.1:9", {});
  await stock(front.folder);
  await front.start({ listen: { admin: `127.0.0.1:${await freePort()}`, ...listen } });
  return front;
};

const playing = async (listener: RequestListener): Promise<string> => {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
};

describe("cache", () => {
  it("is looked through without a server", async () => {
    const cwd = await stocked();
    const { code, stdout, stderr } = await layover(["cache", "ls", "ghcr.io"], cwd);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toBe(`REPOSITORY  TAGS  DIGESTS  HELD      SIZE
acme/app       2        3     3  5.86 KiB
acme/base      0        1     1  4.88 KiB
many/tags    250        0     0       0 B

3 repositories
`);
    const tags = await layover(["cache", "ls", "ghcr.io/acme/app"], cwd);
    expect(tags.stdout).toMatch(
      /^TAG {2}DIGEST {15,}HELD {2}USED +CHECKED +STAYS\n1 {4}sha256:[0-9a-f]{12} {2}5\.\d\d KiB {2}\d+ d ago {2}\d+ d ago\nall /,
    );
    const sites = await layover(["cache", "ls"], cwd);
    expect(sites.stdout).toMatch(
      /^SITE .*\n[\s\S]*ghcr\.io +something\n[\s\S]*quay\.io +nothing\n[\s\S]*\n4 blobs, 5\.8\d KiB\n$/,
    );
  });

  it("has one head however many pages there are, and says where it goes on", async () => {
    const cwd = await stocked();
    const some = await layover(["cache", "ls", "ghcr.io/many/tags", "--limit", "2"], cwd);
    expect(some.stdout).toMatch(/^TAG .*\nt000 .*\nt001 .*\n\n2 tags; more behind t001 \(--after\)\n$/);
    const all = await layover(["cache", "ls", "ghcr.io/many/tags"], cwd);
    expect(all.stdout.match(/TAG/g)).toHaveLength(1);
    expect(all.stdout).toMatch(/\n250 tags\n$/);
  });

  it("is told as JSON, all pages in one, or as many entries as were asked for", async () => {
    const cwd = await stocked();
    const ls = async (...args: string[]) =>
      JSON.parse((await layover(["cache", "ls", "ghcr.io/many/tags", "--json", ...args], cwd)).stdout) as Extract<
        Listing,
        { kind: "tags" }
      >;
    const all = await ls();
    expect(all.tags).toHaveLength(250);
    expect(all.next).toBeUndefined();
    const some = await ls("--limit", "3", "--after", "t003");
    expect(some.tags.map(({ tag }) => tag)).toEqual(["t004", "t005", "t006"]);
    expect(some.next).toBe("t006");
  });

  it("shows an image", async () => {
    const cwd = await stocked();
    const { code, stdout } = await layover(["cache", "show", "ghcr.io/acme/app:1"], cwd);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^image +ghcr\.io\/acme\/app:1\ndigest +sha256:[0-9a-f]{64}\ntype +application\/vnd\.oci\.image\.manifest\.v1\+json\nheld +yes, \d+ B\n/,
    );
    expect(stdout).toMatch(/\nlayer {5}sha256:[0-9a-f]{12} {2}6\.84 KiB {2}missing\n/);
    const json = JSON.parse((await layover(["cache", "show", "--json", "ghcr.io/acme/app:1"], cwd)).stdout) as Shown;
    expect(json).toMatchObject({ digest: digestOf(MANIFEST), held: true });
  });

  it("is asked of the server that runs, which holds the store", async () => {
    const front = await served();
    const own = await layover(["cache", "ls", "ghcr.io", "--json"], front.folder);
    expect({ code: own.code, stderr: own.stderr }).toEqual({ code: 0, stderr: "" });
    const elsewhere = emptyFolder();
    const token = join(elsewhere, "token");
    writeFileSync(token, `${tokenOf(front)}\n`, { mode: 0o600 });
    const server = front.running.identity.admin!;
    const byFile = await layover(
      ["cache", "ls", "ghcr.io", "--json", "--server", `http://${server}`, "--token-file", token],
      elsewhere,
    );
    expect(byFile).toEqual(own);
    const byName = await layover(["cache", "ls", "ghcr.io", "--json", "--server", server], elsewhere, {
      LAYOVER_ADMIN_TOKEN: tokenOf(front),
    });
    expect(byName).toEqual(own);
    expect(existsSync(join(elsewhere, "data"))).toBe(false);
  });

  it.each([
    ["ghcr.io/acme/nothing:1", 1, /^layover: no digest is known for ghcr\.io\/acme\/nothing:1\n$/],
    ["registry.example/a/b", 2, /^layover: registry\.example is no site of this Layover, which has registry-1\.docker\.io, /],
    ["ghcr.io/acme/app:/", 2, /^layover: /],
  ])("show %s ends with %i", async (reference, code, message) => {
    const outcome = await layover(["cache", "show", reference], await stocked());
    expect(outcome).toMatchObject({ code, stdout: "" });
    expect(outcome.stderr).toMatch(message);
  });
});

describe("the command line", () => {
  const main = (args: string[], cwd: string) => run(process.execPath, [MAIN, ...args], "", { cwd });

  it("ends with 2 when it is used wrongly", async () => {
    const cwd = await stocked();
    for (const args of [["cache", "show"], ["cache", "nothing"], ["nothing"], ["cache", "ls", "--nothing"], ["warm"]])
      expect(await main(args, cwd)).toMatchObject({ code: 2, stdout: "" });
    expect(await main(["cache", "--help"], cwd)).toMatchObject({ code: 0, stdout: expect.stringContaining("verify") });
  });

  it("takes no offence at a reader that has read enough", async () => {
    const cwd = await stocked();
    const child = spawn(process.execPath, [MAIN, "cache", "ls", "ghcr.io/many/tags", "--json"], { cwd });
    child.stdout.destroy();
    let stderr = "";
    child.stderr.on("data", (piece) => (stderr += String(piece)));
    expect(await once(child, "close")).toEqual([0, null]);
    expect(stderr).toBe("");
  });
});

describe("when it cannot be asked, cache", () => {
  const fails = async (cwd: string, code: number, message: RegExp, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}) => {
    const outcome = await layover(["cache", "ls", ...args], cwd, env);
    expect(outcome).toMatchObject({ code, stdout: "" });
    expect(outcome.stderr).toMatch(message);
  };

  it("says that nothing has run yet, and makes nothing", async () => {
    const cwd = emptyFolder();
    await fails(cwd, 2, /^layover: .*\/data holds nothing yet/, [], { LAYOVER_LISTEN_ADMIN: `127.0.0.1:${await freePort()}` });
    expect(existsSync(join(cwd, "data"))).toBe(false);
  });

  it("says that a Layover holds the store that does not answer", async () => {
    const off = await served({ admin: "[]" });
    await fails(
      off.folder,
      3,
      /^layover: a Layover is using .*\/data, but its admin listener is turned off \(listen\.admin\)\n$/,
    );
    const front = await served();
    const file = join(front.folder, "layover.yaml");
    writeFileSync(file, readFileSync(file, "utf8").replace(/"admin":"[^"]*"/, `"admin":"127.0.0.1:${await freePort()}"`));
    await fails(front.folder, 3, /but its admin listener does not answer at http:\/\/127\.0\.0\.1:\d+\n$/);
  });

  it("says that the token is another's", async () => {
    const front = await served();
    writeFileSync(join(front.folder, "data/admin.token"), `${"x".repeat(43)}\n`);
    await fails(front.folder, 3, /^layover: the Layover at http:\/\/127\.0\.0\.1:\d+ refuses this token: it is another one's\n$/);
    await fails(front.folder, 2, /holds no token/, [], { LAYOVER_ADMIN_TOKEN: "short" });
    chmodSync(join(front.folder, "data/admin.token"), 0o600);
  });

  it("says that nobody is there, or somebody else", async () => {
    const cwd = emptyFolder();
    const env = { LAYOVER_ADMIN_TOKEN: "x".repeat(43) };
    const nobody = `127.0.0.1:${await freePort()}`;
    await fails(
      cwd,
      3,
      /^layover: no Layover can be reached at http:\/\/127\.0\.0\.1:\d+: nothing listens there\n$/,
      ["--server", nobody],
      env,
    );
    const page = await playing((_, res) => void res.setHeader("content-type", "text/html").end("<html>"));
    await fails(cwd, 3, /is no Layover's admin listener \(HTTP 200, text\/html\)\n$/, ["--server", page], env);
    const lies = await playing((_, res) => void res.setHeader("content-type", "application/json").end("{"));
    await fails(cwd, 3, /no JSON/, ["--server", lies], env);
    const older = await playing((_, res) => {
      res.writeHead(404, { "content-type": "application/json", "layover-version": "0.0.9" });
      res.end('{"error":{"code":"NO_SUCH_PATH","message":"there is no such thing"}}');
    });
    await fails(cwd, 3, /\(0\.0\.9\) does not know this command: it is older\n$/, ["--server", older], env);
    const cuts = createTcp((socket) => void socket.once("data", () => socket.destroy())).listen(0, "127.0.0.1");
    await once(cuts, "listening");
    onTestFinished(() => void cuts.close());
    await fails(
      cwd,
      3,
      /went away before it had answered/,
      ["--server", `127.0.0.1:${(cuts.address() as AddressInfo).port}`],
      env,
    );
  });

  it("says what is missing for another machine", async () => {
    const cwd = emptyFolder();
    await fails(cwd, 2, /--token-file FILE, or LAYOVER_ADMIN_TOKEN\n$/, ["--server", "10.0.0.5:9180"]);
    await fails(cwd, 2, /cannot read nothing: there is no such file/, ["--server", "10.0.0.5:9180", "--token-file", "nothing"]);
    await fails(cwd, 2, /expected a URL/, ["--server", "http://["]);
    await fails(cwd, 2, /--limit: expected a number/, ["--limit", "0"], {
      LAYOVER_DATA: join(await stocked(), "data"),
      LAYOVER_LISTEN_ADMIN: "[]",
    });
  });
});
