// A TLS door of ours before hosts that connections are passed on to: what is theirs reaches them as it is, all else is the door's.
import { once } from "node:events";
import { request } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls, createServer as createTls } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import { passOn } from "../src/app-tunnels.ts";
import { loadConfig } from "../src/config/load.ts";
import { openDoor } from "../src/http/server.ts";
import { type Dial, tunnels } from "../src/http/tunnel.ts";
import type { Bounds } from "../src/lib/headcount.ts";
import { OciError } from "../src/oci/error.ts";
import { mintLeaf } from "../src/tls/leaf.ts";
import { anchorOf, makeRoot } from "../src/tls/root.ts";
import { folderOf } from "./config/folder.ts";
import { extension, hello, helloOfNode, records, serverName } from "./tls/hello.ts";
import { recorder } from "./tls/scratch.ts";

const OURS = "ghcr.io";
const THEIRS = "auth.docker.io";

const certified = (name: string) => {
  const root = makeRoot({ names: "all", now: Date.now(), hostname: name });
  const { chain, key } = mintLeaf(root, [name, "cdn.cloudfront.net"], Date.now());
  return { ca: String(anchorOf(root).certificate), cert: chain, key: key.export({ type: "pkcs8", format: "pem" }) as string };
};
const ours = certified(OURS);
const theirs = certified(THEIRS);

/** The real host: says who it is, and takes what TLS there is. */
const realHost = async (): Promise<number> => {
  const server = createTls({ cert: theirs.cert, key: theirs.key, allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined).on("data", (data) => socket.write(`real:${String(data)}`));
    socket.on("end", () => socket.end("bye"));
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
};

const world = async ({ dial, bounds }: { dial?: Dial; bounds?: Bounds } = {}) => {
  const { log, lines } = recorder();
  const port = await realHost();
  const dialled: string[] = [];
  const passing = tunnels({
    log,
    ...(bounds && { bounds }),
    dial: async (host, to, signal) => {
      dialled.push(`${host}:${to}`);
      if (dial !== undefined) return dial(host, to, signal);
      const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
      await once(socket, "connect");
      return socket;
    },
  });
  const config = await loadConfig({
    cwd: folderOf({ "layover.yaml": `passthrough: [${THEIRS}, "*.cloudfront.net"]` }),
    env: {},
  });
  const door = await openDoor({
    door: "https",
    address: { host: "127.0.0.1", port: 0 },
    dispatch: async ({ res }) => void res.end("ours"),
    clients: () => true,
    secure: { options: { cert: ours.cert, key: ours.key }, follow: () => undefined },
    before: passOn(config, passing),
  });
  onTestFinished(async () => {
    passing.close();
    await door.drain(AbortSignal.timeout(0));
  });
  return { port: door.address.port, dialled, lines, door };
};

const secured = async (port: number, servername: string, ca: string, more = {}) => {
  const socket = connectTls({ host: "127.0.0.1", port, servername, ca, checkServerIdentity: () => undefined, ...more });
  socket.on("error", () => undefined);
  onTestFinished(() => void socket.destroy());
  await once(socket, "secureConnect");
  return socket;
};

const ask = (port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, servername: OURS, ca: ours.ca, agent: false }, (answer) => {
      answer.on("data", (data) => resolve(String(data)));
    })
      .on("error", reject)
      .end();
  });

describe("a name that is passed on", () => {
  it.each(["TLSv1.2", "TLSv1.3"] as const)(
    "has its own certificate and answers over %s, and half an end is half an end",
    async (version) => {
      const { port, dialled, lines } = await world();
      for (const name of [THEIRS, "AUTH.Docker.io.", "cdn.cloudfront.net"]) {
        const socket = await secured(port, name, theirs.ca, { minVersion: version, maxVersion: version, allowHalfOpen: true });
        expect(socket.getPeerCertificate().subjectaltname).toContain(THEIRS);
        socket.write("hi");
        expect(String((await once(socket, "data"))[0])).toBe("real:hi");
        socket.end();
        expect(String((await once(socket, "data"))[0])).toBe("bye");
      }
      expect(dialled).toEqual([`${THEIRS}:443`, `${THEIRS}:443`, "cdn.cloudfront.net:443"]);
      await expect.poll(() => lines.filter(({ msg }) => msg === "tunnel").length).toBe(3);
      expect(JSON.stringify(lines)).not.toContain("hi");
    },
  );

  it("is told by an alert that its host cannot be reached", async () => {
    const { port } = await world({ dial: () => Promise.reject(new OciError("UPSTREAM_UNREACHABLE", "gone")) });
    const socket = connectTls({ host: "127.0.0.1", port, servername: THEIRS, rejectUnauthorized: false });
    const [error] = (await once(socket, "error")) as [Error];
    expect(error).toMatchObject({ code: "ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR" });
  });

  it("is told so too where there are too many, and whoever breaks off then ends nothing but itself", async () => {
    const { port, dialled } = await world({ bounds: { all: 0, each: 0 } });
    const first = records(hello([serverName(THEIRS)]));
    for (let i = 0; i < 100; i += 1) {
      const socket = connect({ host: "127.0.0.1", port }).on("error", () => undefined);
      await once(socket, "connect");
      socket.write(first, () => socket.resetAndDestroy());
    }
    const socket = connectTls({ host: "127.0.0.1", port, servername: THEIRS, rejectUnauthorized: false });
    expect((await once(socket, "error"))[0]).toMatchObject({ code: "ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR" });
    expect(dialled).toEqual([]);
  });

  it("is cut when the door has had its time to close", async () => {
    const { port, door } = await world();
    const socket = await secured(port, THEIRS, theirs.ca);
    const over = once(socket, "close");
    await door.drain(AbortSignal.timeout(100));
    await over;
  });
});

describe("what is not passed on", () => {
  it("is the door's: its sites, no name, and what is no TLS", async () => {
    const { port, dialled } = await world();
    expect(await ask(port)).toBe("ours");
    const unnamed = await secured(port, "", ours.ca);
    expect(unnamed.getPeerCertificate().subjectaltname).toContain(OURS);
    const plain = connect({ host: "127.0.0.1", port });
    plain.write("GET / HTTP/1.1\r\n\r\n");
    plain.on("error", () => undefined).resume();
    await once(plain, "close");
    expect(await ask(port)).toBe("ours");
    expect(dialled).toEqual([]);
  });

  it("gets through however its first message comes, with more behind it", async () => {
    const { port } = await world();
    for (const size of [1, 7, 100, 511]) {
      const bare = connect({ host: "127.0.0.1", port, noDelay: true });
      await once(bare, "connect");
      const first = await helloOfNode({ servername: OURS });
      for (let at = 0; at < first.length; at += size) {
        bare.write(first.subarray(at, at + size));
        if (at < 20 * size) await sleep(1);
      }
      const [answer] = (await once(bare, "data")) as [Buffer];
      // a ServerHello in a handshake record
      expect([answer[0], answer[5]]).toEqual([22, 2]);
      bare.destroy();
    }
  });
});

describe("a client that does not say whom it is for", () => {
  const dial = async (port: number, bytes: Buffer): Promise<Socket> => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("error", () => undefined);
    socket.write(bytes);
    return socket;
  };

  it("and goes, or ends its half, leaves nothing behind", async () => {
    const { port, door } = await world();
    const half = records(hello([serverName(THEIRS)])).subarray(0, 30);
    (await dial(port, half)).resetAndDestroy();
    const ended = await dial(port, half);
    ended.end();
    ended.resume();
    await once(ended, "close");
    expect(await ask(port)).toBe("ours");
    await door.drain(AbortSignal.timeout(5_000));
  });

  it("in a thousand records is TLS's to judge", async () => {
    const { port, dialled } = await world();
    const socket = await dial(port, records(hello([extension(21, Buffer.alloc(600)), serverName(THEIRS)]), 1));
    socket.resume();
    await once(socket, "close");
    expect(dialled).toEqual([]);
  });
});
