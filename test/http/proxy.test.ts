// The proxy door over real sockets: sites are answered here, other hosts passed on or refused, and nothing that a client sends gets in between.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { dispatcher } from "../../src/http/dispatch.ts";
import { connecting, toOrigin } from "../../src/http/proxy.ts";
import { openDoor } from "../../src/http/server.ts";
import { type TunnelsParts, tunnels } from "../../src/http/tunnel.ts";
import { OciError } from "../../src/oci/error.ts";
import { siteTable } from "../../src/sites.ts";
import { mintLeaf } from "../../src/tls/leaf.ts";
import { makeRoot } from "../../src/tls/root.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { type Front, HOST, startFront } from "../front.ts";
import { recorder } from "../tls/scratch.ts";

const ESTABLISHED = "HTTP/1.1 200 Connection Established\r\n\r\n";

const dial = async (port: number): Promise<Socket> => {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true }).on("error", () => undefined);
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  return socket;
};

/** All that comes until the other side ends or breaks off. */
const heard = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    let text = "";
    socket
      .on("data", (chunk: Buffer) => {
        text += chunk.toString("latin1");
      })
      .on("end", () => socket.destroy())
      .on("close", () => resolve(text));
  });

/** The head of an answer; what follows stays in the socket. */
const headOf = (socket: Socket): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = "";
    const look = (): void => {
      for (let byte = socket.read(1) as Buffer | null; byte !== null; byte = socket.read(1) as Buffer | null) {
        text += byte.toString("latin1");
        if (!text.endsWith("\r\n\r\n")) continue;
        socket.off("readable", look);
        resolve(text);
        return;
      }
    };
    socket.on("readable", look);
    socket.once("close", () => reject(new Error(`closed after ${JSON.stringify(text)}`)));
    look();
  });

const say = async (port: number, text: string): Promise<string> => {
  const socket = await dial(port);
  socket.write(text);
  return heard(socket);
};
const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);

const root = makeRoot({ names: "all", now: Date.now(), hostname: "box" });
const leaf = mintLeaf(root, ["site.example"], Date.now());
const secure = {
  options: { cert: leaf.chain, key: leaf.key.export({ type: "pkcs8", format: "pem" }) as string },
  follow: () => undefined,
};

/** A proxy door by itself: `site.example` is ours, everything else is `far`. */
const open = async (far: (socket: Socket) => void, parts: Partial<TunnelsParts> = {}) => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    onTestFinished(() => void socket.destroy());
    far(socket.on("error", () => undefined));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { log, lines } = recorder();
  const dialled: string[] = [];
  const passing = tunnels({
    dial: async (host, port) => {
      dialled.push(`${host}:${port}`);
      return dial((server.address() as AddressInfo).port);
    },
    log,
    ...parts,
  });
  onTestFinished(() => passing.close());
  const dispatch = dispatcher({
    sites: siteTable([]),
    doorOf: () => {
      throw new Error("there is no site");
    },
    isOwnName: (host) => host === "site.example",
    ownPages: async ({ res, path, door }) => {
      if (path === "/held") await sleep(100);
      res.end(`${door} ${path}`);
    },
    viaToken: "layover-test",
    log,
  });
  const door = await openDoor({
    door: "http",
    address: { host: "127.0.0.1", port: 0 },
    dispatch,
    clients: () => true,
    proxy: { connect: connecting({ tunnels: passing, isOurs: (host) => host === "site.example", log }), secure, toOrigin },
  });
  onTestFinished(() => door.drain(AbortSignal.timeout(0)));
  return { port: door.address.port, door, dialled, lines, passing };
};

const echo = (socket: Socket): void => void socket.pipe(socket);

const tlsOver = async (socket: Socket, servername: string): Promise<Socket> => {
  const secured = connectTls({ socket, servername, rejectUnauthorized: false }).on("error", () => undefined);
  await once(secured, "secureConnect");
  return secured;
};

describe("CONNECT", () => {
  it("to another host is passed on both ways, what came behind it first, and an end as an end", async () => {
    const { port, dialled, lines, passing } = await open(echo);
    const socket = await dial(port);
    socket.write("CONNECT Real.Example.:443 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic czNjcmV0\r\n\r\nfirst ");
    socket.write("second");
    socket.end();
    expect(await heard(socket)).toBe(`${ESTABLISHED}first second`);
    expect(dialled).toEqual(["real.example:443"]);
    await expect.poll(() => passing.open).toBe(0);
    expect(lines.filter(({ msg }) => msg === "tunnel")).toMatchObject([
      { door: "proxy", host: "real.example", up: 12, down: 12, end: "done" },
    ]);
    expect(JSON.stringify(lines)).not.toContain("czNjcmV0");
  });

  it("to a site is answered here by TLS and HTTP, also when the handshake has come along with it", async () => {
    const { port, dialled, lines } = await open(echo);
    const socket = await dial(port);
    socket.write("CONNECT site.example:443 HTTP/1.1\r\n\r\n");
    expect(await headOf(socket)).toBe(ESTABLISHED);
    const secured = await tlsOver(socket, "site.example");
    secured.write(
      "GET /a HTTP/1.1\r\nhost: site.example\r\n\r\nGET /b HTTP/1.1\r\nhost: site.example\r\nconnection: close\r\n\r\n",
    );
    const answers = await heard(secured);
    expect(answers).toMatch(/https \/a[\s\S]*https \/b$/);
    await expect.poll(() => lines.filter(({ msg }) => msg === "request")).toMatchObject([{ door: "proxy" }, { door: "proxy" }]);
    expect(dialled).toEqual([]);
  });

  it("takes a handshake that does not wait for the answer", async () => {
    const { port } = await open(echo);
    const socket = await dial(port);
    socket.cork();
    socket.write("CONNECT site.example:443 HTTP/1.1\r\n\r\n");
    const behind = withoutFirst(socket, ESTABLISHED.length);
    const hello = connectTls({ socket: behind, servername: "site.example", rejectUnauthorized: false });
    hello.on("error", () => undefined);
    setImmediate(() => socket.uncork());
    await once(hello, "secureConnect");
    hello.write("GET /early HTTP/1.1\r\nhost: site.example\r\nconnection: close\r\n\r\n");
    expect(await heard(hello)).toContain("https /early");
  });

  it.each([
    ["another port", "CONNECT real.example:22 HTTP/1.1\r\n\r\n", 403],
    ["port 80", "CONNECT real.example:80 HTTP/1.1\r\n\r\n", 403],
    ["a site's other port", "CONNECT site.example:80 HTTP/1.1\r\n\r\n", 403],
    ["no port", "CONNECT real.example HTTP/1.1\r\n\r\n", 400],
    ["a port too many", "CONNECT real.example:443:443 HTTP/1.1\r\n\r\n", 400],
    ["a large port", "CONNECT real.example:65979 HTTP/1.1\r\n\r\n", 403],
    ["a URL", "CONNECT https://real.example:443/ HTTP/1.1\r\n\r\n", 400],
    ["a path", "CONNECT /v2/ HTTP/1.1\r\n\r\n", 400],
    ["a user", "CONNECT user@real.example:443 HTTP/1.1\r\n\r\n", 400],
    ["no name at all", "CONNECT :443 HTTP/1.1\r\n\r\n", 400],
    ["what is no name", "CONNECT real_example%2e:443 HTTP/1.1\r\n\r\n", 400],
    ["no HTTP", "\x16\x03\x01\r\n\r\n", 400],
    ["a huge header", `CONNECT real.example:443 HTTP/1.1\r\nX: ${"a".repeat(70_000)}\r\n\r\n`, 431],
  ])("with %s is refused", async (_what, text, status) => {
    const { port, dialled } = await open(echo);
    expect(statusOf(await say(port, text))).toBe(status);
    expect(dialled).toEqual([]);
  });

  it("whatever its target, is answered with a status or dialled as a host on 443", async () => {
    const { port, dialled } = await open((socket) => socket.end());
    const piece = fc.constantFrom(
      "real",
      ".",
      "example",
      ":",
      "443",
      "[",
      "]",
      "::1",
      "@",
      "/",
      "%",
      "1",
      "#",
      "?",
      "\t",
      "é",
      "..",
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 8 }), async (pieces) => {
        dialled.length = 0;
        const answer = await say(port, `CONNECT ${pieces.join("")} HTTP/1.1\r\n\r\n`);
        const isDialled = dialled.length === 1 && /^[a-z0-9.:]+:443$/.test(dialled[0]!);
        return answer.startsWith(ESTABLISHED) ? isDialled : dialled.length === 0 && [400, 403].includes(statusOf(answer));
      }),
      { numRuns: 60 },
    );
  });

  it("says why there is no tunnel, though more has come behind it", async () => {
    const failing = (error: Error) => open(echo, { dial: () => Promise.reject(error) });
    const cases = [
      [new OciError("DENIED", "not there"), 403],
      [new OciError("UPSTREAM_UNREACHABLE", "away"), 503],
      [new OciError("LOOP_DETECTED", "back again"), 508],
      [new Error("whatever"), 503],
    ] as const;
    for (const [error, status] of cases) {
      const { port } = await failing(error);
      const answer = await say(port, `CONNECT real.example:443 HTTP/1.1\r\n\r\n${"x".repeat(100_000)}`);
      expect(statusOf(answer)).toBe(status);
    }
    const { port } = await open(echo, { bounds: { all: 1, each: 1 } });
    const first = await dial(port);
    first.write("CONNECT real.example:443 HTTP/1.1\r\n\r\n");
    expect(await headOf(first)).toBe(ESTABLISHED);
    expect(statusOf(await say(port, "CONNECT real.example:443 HTTP/1.1\r\n\r\n"))).toBe(429);
    first.destroy();
    await expect.poll(async () => statusOf(await say(port, "CONNECT real.example:22 HTTP/1.1\r\n\r\n"))).toBe(403);
  });

  it("behind a request that is not answered yet is cut: its answer would come in the tunnel", async () => {
    const { port, dialled } = await open(echo);
    const answer = await say(
      port,
      "GET http://site.example/held HTTP/1.1\r\nhost: site.example\r\n\r\nCONNECT real.example:443 HTTP/1.1\r\n\r\nhello",
    );
    expect(answer).not.toContain("Established");
    expect(dialled).toEqual([]);
    // and behind one that is, goes on
    const socket = await dial(port);
    socket.write("GET http://site.example/a HTTP/1.1\r\nhost: site.example\r\n\r\n");
    await headOf(socket);
    socket.write("CONNECT real.example:443 HTTP/1.1\r\n\r\n");
    expect(await headOf(socket)).toContain(ESTABLISHED);
  });

  it("whose client goes while the host is looked for leaves nothing behind", async () => {
    let aborted = 0;
    const { port, passing } = await open(echo, {
      dial: (_host, _port, signal) =>
        new Promise((_, reject) =>
          signal.addEventListener("abort", () => {
            aborted += 1;
            reject(new Error("left"));
          }),
        ),
    });
    const socket = await dial(port);
    socket.write("CONNECT real.example:443 HTTP/1.1\r\n\r\n");
    await expect.poll(() => passing.open).toBe(1);
    socket.resetAndDestroy();
    await expect.poll(() => [aborted, passing.open]).toEqual([1, 0]);
    const site = await dial(port);
    site.write("CONNECT site.example:443 HTTP/1.1\r\n\r\n");
    await headOf(site);
    site.resetAndDestroy();
    expect(statusOf(await say(port, "CONNECT real.example:22 HTTP/1.1\r\n\r\n"))).toBe(403);
  });

  it("ends with the door: tunnels, and sites that are idle, wait for nothing", async () => {
    const { port, door } = await open(echo);
    const [tunnel, site, idle] = [await dial(port), await dial(port), await dial(port)];
    tunnel.write("CONNECT real.example:443 HTTP/1.1\r\n\r\n");
    for (const one of [site, idle]) one.write("CONNECT site.example:443 HTTP/1.1\r\n\r\n");
    for (const one of [tunnel, site, idle]) await headOf(one);
    const secured = await tlsOver(site, "site.example");
    secured.write("GET /a HTTP/1.1\r\nhost: site.example\r\n\r\n");
    await once(secured, "data");
    const gone = Promise.all([once(secured.resume(), "end"), once(idle.resume(), "end")]);
    const began = performance.now();
    const drained = door.drain(AbortSignal.timeout(1_500));
    await gone;
    expect(performance.now() - began).toBeLessThan(1_400);
    expect(tunnel.destroyed).toBe(false);
    await drained;
    await expect.poll(() => tunnel.resume().destroyed || tunnel.readableEnded).toBe(true);
  });

  it("of a slow client is waited for no longer than any request", { timeout: 60_000 }, async () => {
    const { port } = await open(echo);
    const [plain, socket] = [await dial(port), await dial(port)];
    plain.write("CONNECT real.exam");
    socket.write("CONNECT site.example:443 HTTP/1.1\r\n\r\n");
    await headOf(socket);
    const secured = await tlsOver(socket, "site.example");
    secured.write("GET /a HTTP/1.1\r\nhost: si");
    const began = performance.now();
    const drip = setInterval(() => {
      if (!plain.destroyed) plain.write("x");
      if (!secured.destroyed) secured.write("x");
    }, 1_000);
    onTestFinished(() => clearInterval(drip));
    const answers = await Promise.all([heard(plain), heard(secured)]);
    expect(performance.now() - began).toBeLessThan(40_000);
    expect(answers.map(statusOf)).toEqual([400, 400]);
  });
});

/** For TLS that is spoken at once behind a CONNECT: what comes back begins with the answer to that. */
const withoutFirst = (socket: Socket, length: number): Duplex => {
  let left = length;
  return new Duplex({
    construct(done) {
      socket.on("data", (chunk: Buffer) => {
        const cut = Math.min(left, chunk.length);
        left -= cut;
        if (cut < chunk.length) this.push(chunk.subarray(cut));
      });
      socket.on("end", () => this.push(null));
      done();
    },
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, () => done()),
  });
};

describe("in front of the whole", () => {
  const started = async () => {
    const upstream = await faultUpstream();
    const { top } = upstream.content.seed({ repo: "acme/app", tag: "v1", layers: 1_000 });
    const front = await startFront(upstream);
    await front.stop();
    await front.start({ listen: { proxy: ["127.0.0.1:0"] } });
    return { front, top, port: Number(front.running.identity.addresses[2]!.split(":")[1]) };
  };

  const through = async (front: Front, port: number, host: string, request: string): Promise<string> => {
    const socket = await dial(port);
    socket.write(`CONNECT ${host}:443 HTTP/1.1\r\n\r\n`);
    expect(await headOf(socket)).toBe(ESTABLISHED);
    const secured = connectTls({ socket, servername: host, ca: front.running.ca });
    await once(secured, "secureConnect");
    secured.write(request);
    return heard(secured);
  };

  it("a site is pulled from through CONNECT, and so is the mirror; its certificate is checked", async () => {
    const { front, top, port } = await started();
    const get = (path: string, host: string) => `GET ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`;
    expect(await through(front, port, HOST, get("/v2/acme/app/manifests/v1", HOST))).toContain(top.digest);
    expect(await through(front, port, "layover", get(`/v2/${HOST}/acme/app/manifests/v1`, "layover"))).toContain(top.digest);
  });

  it("nobody is led to ourselves, this machine, or a private network", async () => {
    const { port } = await started();
    for (const host of [
      "127.0.0.1",
      "10.1.2.3",
      "192.168.0.1",
      "169.254.169.254",
      "[::1]",
      "[fe80::1]",
      "0.0.0.0",
      "[::ffff:10.0.0.1]",
    ]) {
      const answer = await say(port, `CONNECT ${host}:443 HTTP/1.1\r\n\r\n`);
      expect([host, statusOf(answer)]).toEqual([host, expect.toSatisfy((status: number) => status === 403 || status === 508)]);
    }
    // no resolver answers here
    expect(statusOf(await say(port, "CONNECT real.example:443 HTTP/1.1\r\n\r\n"))).toBe(503);
  });

  it("plain HTTP is for Layover's own name and for sites alone", async () => {
    const { port, top } = await started();
    const get = (target: string, host = "x") => say(port, `GET ${target} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
    expect(await get("http://layover/livez")).toMatch(/^HTTP\/1.1 200[\s\S]*ok/);
    expect(await get(`http://layover/v2/${HOST}/acme/app/manifests/v1`)).toContain(top.digest);
    expect(await get(`http://${HOST}/v2/`)).toMatch(/^HTTP\/1.1 308[\s\S]*location: https:\/\/registry.test\/v2\//i);
    for (const target of [
      "http://elsewhere.example/",
      "http://10.1.2.3/v2/",
      "http://169.254.169.254/latest/meta-data",
      "https://elsewhere.example/",
      "ftp://layover/livez",
      "http://layover@elsewhere.example/livez",
    ])
      expect([target, statusOf(await get(target, "elsewhere.example"))]).toEqual([
        target,
        expect.toSatisfy((status: number) => status >= 400),
      ]);
    // the host in the target counts, whatever the header says
    expect(statusOf(await get("http://elsewhere.example/livez", "layover"))).toBe(403);
    expect(statusOf(await get("http://layover?/livez", "layover"))).toBeGreaterThanOrEqual(200);
  });
});
