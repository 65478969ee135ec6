import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, symlinkSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { checkAnswer } from "../../src/cli/doctor-answer.ts";
import { checkContainer, checkDisk, checkPorts, judgeSpace } from "../../src/cli/doctor-host.ts";
import { isLayover } from "../../src/cli/doctor-process.ts";
import { emptyFolder } from "./command.ts";

const GiB = 2 ** 30;

describe("ports", () => {
  const door = (port: number) => ({ key: "listen.https", transport: "tcp", address: { host: "127.0.0.1", port } }) as const;
  /** By a process whose command line is known: that of process 1 may well name Layover. */
  const held = (command: string) => {
    const other = spawn("sleep", ["60"], { stdio: "ignore" });
    onTestFinished(() => void other.kill());
    return { pid: other.pid!, find: () => ({ host: "0.0.0.0", port: 443, uid: 0, pid: other.pid, command }) };
  };

  it("held by another are named with their holder", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const [finding] = await checkPorts([door((server.address() as AddressInfo).port)]);
    expect(finding).toMatchObject({ status: "fail", text: expect.stringContaining(`(pid ${process.pid}), not by Layover`) });
    const nginx = held("nginx");
    expect(await checkPorts([door(443)], nginx.find)).toMatchObject([
      {
        status: "fail",
        text: `127.0.0.1:443/tcp (listen.https) is held by nginx (pid ${nginx.pid}), not by Layover`,
        mend: expect.stringContaining("LAYOVER_LISTEN_HTTPS"),
      },
    ]);
    expect(await checkPorts([door(53)], held("systemd-resolve").find)).toMatchObject([
      { status: "fail", mend: expect.stringContaining("DNSStubListener=no") },
    ]);
  });

  it("held by what only speaks of Layover are not Layover's; by Layover itself they are", async () => {
    const start = (argv0: string, ...args: string[]) => {
      const child = spawn(process.execPath, args, { stdio: "ignore", argv0 });
      onTestFinished(() => void child.kill());
      return child.pid!;
    };
    const wait = ["--eval", "setTimeout(() => {}, 60_000)", "--"];
    expect(await isLayover(start("layover", ...wait, "--config", "/etc/layover/layover.yaml"))).toBe(false);
    const folder = emptyFolder();
    writeFileSync(join(folder, "package.json"), '{"name":"other"}');
    expect(await isLayover(start("node", ...wait, join(folder, "layover.mjs"), "serve"))).toBe(false);
    const script = join(import.meta.dirname, "../../scripts/layover.mjs");
    expect(await isLayover(start("node", ...wait, script, "serve"))).toBe(true);
    const front = join(import.meta.dirname, "../../src/cli/front.ts");
    expect(await isLayover(start("node", ...wait, front, "/etc/layover.yaml"))).toBe(true);
    const link = join(folder, "layover");
    symlinkSync(script, link);
    expect(await isLayover(start("node", ...wait, link, "serve"))).toBe(true);
    expect(await isLayover(2 ** 22)).toBe(false);
  });

  it("that nobody holds are told together; whose holder cannot be seen are well", async () => {
    expect(await checkPorts([door(443), door(80)], () => undefined)).toMatchObject([
      { status: "warn", text: expect.stringMatching(/:443.*:80/) },
    ]);
    const unseen = { host: "0.0.0.0", port: 443, uid: 7, pid: undefined, command: undefined };
    expect(await checkPorts([door(443)], () => unseen)).toMatchObject([{ status: "ok" }]);
  });
});

describe("the disk", () => {
  it("is looked at where the data folder will be", async () => {
    const folder = emptyFolder();
    expect((await checkDisk(join(folder, "not/yet"), undefined))[0]?.status).not.toBe("fail");
    writeFileSync(join(folder, "file"), "");
    expect(await checkDisk(join(folder, "file"), undefined)).toMatchObject([
      { status: "fail", text: expect.stringContaining("is no folder") },
    ]);
    expect(await checkDisk(join(folder, "file/data"), undefined)).toMatchObject([{ status: "fail" }]);
  });

  it.skipIf(process.getuid?.() === 0)("must be writable", async () => {
    const folder = emptyFolder();
    chmodSync(folder, 0o500);
    expect(await checkDisk(join(folder, "data"), undefined)).toMatchObject([
      { status: "fail", text: expect.stringContaining("cannot be written") },
    ]);
  });

  it.each([
    [50, undefined, "ok"],
    [9, undefined, "warn"],
    [0.5, undefined, "fail"],
    [50, 200, "warn"],
  ])("with %d of 100 GiB free and maxSize %s: %s", (free, max, status) =>
    expect(judgeSpace("/data", { total: 100 * GiB, free: free * GiB }, max === undefined ? undefined : max * GiB)).toMatchObject({
      status,
    }),
  );
});

describe("a container", () => {
  const marks = [import.meta.filename];
  it("needs an answer", async () => {
    expect(await checkContainer("auto", marks, {})).toMatchObject([
      { status: "warn", mend: expect.stringContaining("LAYOVER_ANSWER") },
    ]);
    expect(await checkContainer(["10.0.0.5"], marks, {})).toMatchObject([{ status: "ok" }]);
    expect(await checkContainer("auto", ["/nowhere"], { KUBERNETES_SERVICE_HOST: "10.0.0.1" })).toMatchObject([
      { status: "warn" },
    ]);
    expect(await checkContainer("auto", ["/nowhere"], {})).toEqual([]);
  });
});

describe("the answer", () => {
  const interfaces = ["127.0.0.1"];
  it("must be open where names lead to", async () => {
    const server = createServer((socket) => void socket.destroy()).listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    expect(await checkAnswer({ answer: "auto", interfaces, timeout: 200 })).toEqual([]);
    expect(await checkAnswer({ answer: ["127.0.0.1"], interfaces, timeout: 500, port })).toEqual([
      { check: "answer", status: "ok", text: `127.0.0.1:${port} is open` },
    ]);
    expect(await checkAnswer({ answer: ["127.0.0.1", "127.0.0.2"], interfaces, timeout: 500, port: 1 })).toMatchObject([
      { status: "warn", text: expect.stringContaining("and 127.0.0.1:1 is not open: nobody listens there") },
      { status: "warn", text: expect.stringContaining("127.0.0.2, which is no address of this machine") },
    ]);
  });
});
