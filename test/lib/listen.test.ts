import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { AddressError, explainListenError, formatAddress, isWildcard, parseAddress } from "../../src/lib/listen.ts";
import { hexAddress, portHolder } from "../../src/lib/listen-holder.ts";

describe("addresses", () => {
  it.each([
    ["0.0.0.0:53", { host: "0.0.0.0", port: 53 }],
    ["[::]:443", { host: "::", port: 443 }],
    ["127.0.0.1:0", { host: "127.0.0.1", port: 0 }],
  ])("reads %s", (text, address) => {
    expect(parseAddress(text)).toEqual(address);
    expect(formatAddress(address)).toBe(text);
  });

  it("may do without a port where there is a usual one", () => {
    expect(parseAddress("8.8.8.8", 53)).toEqual({ host: "8.8.8.8", port: 53 });
    expect(parseAddress("2001:db8::1", 53)).toEqual({ host: "2001:db8::1", port: 53 });
    expect(parseAddress("[2001:db8::1]", 53)).toEqual({ host: "2001:db8::1", port: 53 });
  });

  it.each([
    "",
    ":53",
    "53",
    "localhost:53",
    "0.0.0.0",
    "0.0.0.0:",
    "0.0.0.0:65536",
    "::1:53",
    "[1.2.3.4]:5",
    "1.2.3.4:5:6",
    "[::1%lo]:5",
    "1.2.3.4:-1",
  ])("refuses %j", (text) => expect(() => parseAddress(text)).toThrow(AddressError));

  it("knows wildcards", () => {
    expect(["0.0.0.0", "::", "0:0:0:0:0:0:0:0"].every(isWildcard)).toBe(true);
    expect(["127.0.0.1", "::1", "x"].some(isWildcard)).toBe(false);
  });
});

describe("a port that is taken", () => {
  const open: { close(): unknown }[] = [];
  afterEach(() => {
    for (const socket of open.splice(0)) socket.close();
  });

  it("is explained with its holder, over TCP", async () => {
    const first = createServer().listen(0, "127.0.0.1");
    open.push(first);
    await once(first, "listening");
    const { port } = first.address() as AddressInfo;
    const second = createServer().listen(port, "127.0.0.1");
    const [error] = (await once(second, "error")) as [Error];
    const text = explainListenError(error, { key: "listen.https", what: "TLS" });
    expect(text).toContain(`cannot listen on 127.0.0.1:${port} for TLS: the port is taken by`);
    expect(text).toContain(`(pid ${process.pid})`);
    expect(text).toContain(`LAYOVER_LISTEN_HTTPS=127.0.0.1:`);
    expect(text).toMatch(/`listen: \{ https: \["127\.0\.0\.1:\d+"\] \}`/);
  });

  it("is explained with its holder, over UDP, also when it holds all addresses", async () => {
    const first = createSocket("udp4").bind(0, "0.0.0.0");
    open.push(first);
    await once(first, "listening");
    const { port } = first.address();
    const second = createSocket("udp4");
    open.push(second);
    second.bind(port, "127.0.0.1");
    const [error] = (await once(second, "error")) as [Error];
    const text = explainListenError(error, {
      key: "listen.dns",
      what: "DNS",
      address: { host: "127.0.0.1", port },
      transport: "udp",
    });
    expect(text).toContain(`(pid ${process.pid}), on 0.0.0.0:${port}`);
  });
});

describe("what the kernel's tables say", () => {
  const proc = mkdtempSync(join(tmpdir(), "layover-proc-"));
  const row = (address: string, state: string, inode: number, uid = 101) =>
    `   0: ${address} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000 ${uid} 0 ${inode} 2 0 0`;
  mkdirSync(join(proc, "net"), { recursive: true });
  writeFileSync(join(proc, "net/udp"), `  sl  local_address\n${row("3500007F:0035", "07", 4242)}\n`);
  writeFileSync(
    join(proc, "net/tcp"),
    `  sl  local_address\n${row("0100007F:01BB", "01", 1)}\n${row("00000000:0050", "0A", 77)}\n`,
  );
  mkdirSync(join(proc, "812/fd"), { recursive: true });
  symlinkSync("socket:[4242]", join(proc, "812/fd/3"));
  writeFileSync(join(proc, "812/comm"), "systemd-resolve\n");
  afterAll(() => rmSync(proc, { recursive: true }));

  it("names systemd-resolved on its stub, which stands in the way of all addresses", () => {
    const holder = portHolder("udp", { host: "0.0.0.0", port: 53 }, proc);
    expect(holder).toEqual({ host: "127.0.0.53", port: 53, uid: 101, pid: 812, command: "systemd-resolve" });
    expect(portHolder("udp", { host: "127.0.0.4", port: 53 }, proc)).toBeUndefined();
  });

  it("does not take a connection for a listener, and knows at least the user of a stranger's", () => {
    expect(portHolder("tcp", { host: "0.0.0.0", port: 443 }, proc)).toBeUndefined();
    expect(portHolder("tcp", { host: "10.0.0.1", port: 80 }, proc)).toMatchObject({ uid: 101, pid: undefined });
    expect(portHolder("tcp", { host: "10.0.0.1", port: 80 }, join(proc, "nowhere"))).toBeUndefined();
  });

  it.each([
    ["0100007F", "127.0.0.1"],
    ["00000000000000000000000000000000", "::"],
    ["00000000000000000000000001000000", "::1"],
    ["0000000000000000FFFF00000100007F", "127.0.0.1"],
    ["B80D0120000000000000000001000000", "2001:db8::1"],
  ])("reads %s as %s", (hex, address) => expect(hexAddress(hex)).toBe(address));
});

describe("other reasons", () => {
  const fault = (code: string) => Object.assign(new Error(`listen ${code}`), { code });
  const dns = { key: "listen.dns", what: "DNS over UDP", address: { host: "0.0.0.0", port: 53 } };
  it("says how to be permitted", () => expect(explainListenError(fault("EACCES"), dns)).toContain("CAP_NET_BIND_SERVICE"));
  it("says which addresses there are", () =>
    expect(explainListenError(fault("EADDRNOTAVAIL"), { ...dns, address: { host: "192.0.2.99", port: 53 } })).toMatch(
      /no such address \(it has .*127\.0\.0\.1/,
    ));
  it("passes on what it does not know", () => expect(explainListenError(new Error("odd"), dns)).toContain("odd"));
  it("never proposes a port that may not exist", () =>
    expect(
      explainListenError(fault("EACCES"), { ...dns, key: "listen.admin", address: { host: "::1", port: 65_535 } }),
    ).toContain('`listen: { admin: "[::1]:0" }`'));
});
