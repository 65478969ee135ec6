// What is passed through, byte by byte: framing, Expect, answers that come early, and who leaves when. The registry is a bare socket.
import { once } from "node:events";
import type { TLSSocket } from "node:tls";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type Front, HOST, startFront } from "../front.ts";
import { openTestDoor } from "./door.ts";
import { type RawConnection, type RawUpstream, rawUpstream } from "./raw-upstream.ts";
import { type Head, Wire } from "./wire.ts";

const until = (isSo: () => boolean): Promise<boolean> => vi.waitUntil(isSo, { timeout: 15_000, interval: 5 });

const UPLOAD = "/v2/acme/app/blobs/uploads/1?_state=a%2Fb%3D%3D&x='y'";

interface World {
  readonly upstream: RawUpstream;
  readonly front: Front;
  readonly client: TLSSocket;
  readonly wire: Wire;
}

const world = async (): Promise<World> => {
  const upstream = await rawUpstream();
  const front = await startFront(upstream.url);
  return { upstream, front, ...(await dialled(front)) };
};

const dialled = async (front: Front): Promise<Pick<World, "client" | "wire">> => {
  const client = await front.dial(HOST);
  client.on("error", () => undefined);
  onTestFinished(() => void client.destroy());
  return { client, wire: new Wire(client) };
};

const ask = (client: TLSSocket, line: string, headers: readonly string[] = [], body = ""): void => {
  client.write([`${line} HTTP/1.1`, `Host: ${HOST}`, ...headers, "", body].join("\r\n"));
};

const bodyOf = async (wire: Wire, head: Head): Promise<string> => {
  const parts: Buffer[] = [];
  await wire.body(head, (bytes) => {
    parts.push(Buffer.from(bytes));
    return true;
  });
  return Buffer.concat(parts).toString();
};

/** The head of the first request, in lower-case lines. */
const headOf = (connection: RawConnection): string[] =>
  connection.text
    .slice(0, connection.text.indexOf("\r\n\r\n"))
    .split("\r\n")
    .map((line) => line.toLowerCase());

const OK = ["HTTP/1.1 201 Created", "Content-Length: 0"];

describe("what goes out", () => {
  it("is asked for in the client's own words, and answered in upstream's", async () => {
    const { upstream, client, wire } = await world();
    ask(client, `PATCH ${UPLOAD}`, ["Content-Length: 3"], "abc");
    const asked = await upstream.connection();
    await asked.came("\r\n\r\nabc");
    expect(asked.text).toMatch(new RegExp(`^PATCH ${UPLOAD.replace(/[?/%.*+]/g, "\\$&")} HTTP/1\\.1\r\n`));
    const location = `/v2/acme/app/blobs/uploads/1?_state=%2fZ%3d~&b=c d`;
    asked.say(["HTTP/1.1 202 Accepted", `Location: ${location}`, "Range: 0-2", "OCI-Chunk-Min-Length: 7", "Content-Length: 0"]);
    const head = await wire.head();
    expect(head?.status).toBe(202);
    expect(head?.headers.get("location")).toBe(location);
    expect(head?.headers.get("range")).toBe("0-2");
    expect(head?.headers.get("oci-chunk-min-length")).toBe("7");
  });

  it.each([
    ["absolute, on the site's name", (url: string) => [url, url] as const, `https://${HOST}/v2/u/1?a=b`],
    ["absolute, on another host", (url: string) => [url, url] as const, "https://store.example/u/1?X-Sig=%2F"],
  ])("a Location that is %s stays as it is", async (_what, _pair, location) => {
    const { upstream, client, wire } = await world();
    ask(client, "POST /v2/acme/app/blobs/uploads/", ["Content-Length: 0"]);
    (await upstream.connection()).say(["HTTP/1.1 202 Accepted", `Location: ${location}`, "Content-Length: 0"]);
    expect((await wire.head())?.headers.get("location")).toBe(location);
  });

  it("a Location on the upstream's own origin gets the site's name", async () => {
    const { upstream, client, wire } = await world();
    ask(client, "POST /v2/acme/app/blobs/uploads/", ["Content-Length: 0"]);
    (await upstream.connection()).say(["HTTP/1.1 202 Accepted", `Location: ${upstream.url}/v2/u/1?a=%2F`, "Content-Length: 0"]);
    expect((await wire.head())?.headers.get("location")).toBe(`https://${HOST}/v2/u/1?a=%2F`);
  });

  it("is framed once: by its length where it tells one, else in chunks", async () => {
    const { upstream, client, wire } = await world();
    ask(client, `PATCH ${UPLOAD}`, ["Content-Length: 3"], "abc");
    const asked = await upstream.connection();
    await asked.came("\r\n\r\nabc");
    expect(headOf(asked)).toContain("content-length: 3");
    expect(headOf(asked).some((line) => line.startsWith("transfer-encoding"))).toBe(false);
    asked.say(OK);
    expect((await wire.head())?.status).toBe(201);
    ask(client, `PATCH ${UPLOAD}`, ["Transfer-Encoding: chunked"], "3\r\nabc\r\n2\r\nde\r\n0\r\nX-Late: 1\r\n\r\n");
    await asked.came("\r\n0\r\n\r\n");
    const second = asked.text.slice(asked.text.lastIndexOf("PATCH"));
    expect(second.toLowerCase()).toContain("transfer-encoding: chunked");
    expect(second.toLowerCase()).not.toContain("content-length");
    // trailers may be left out by whoever passes a message on (RFC 9110 §6.5.1): the framing stays right
    expect(second.endsWith("0\r\n\r\n")).toBe(true);
    asked.say(OK);
    expect((await wire.head())?.status).toBe(201);
  });

  it("has no length where a write has no body", async () => {
    const { upstream, client } = await world();
    ask(client, "POST /v2/acme/app/blobs/uploads/");
    const asked = await upstream.connection();
    await asked.came("\r\n\r\n");
    expect(headOf(asked)).toContain("content-length: 0");
  });
});

describe("a body that poses as a request", () => {
  const SMUGGLED = "PUT /v2/victim/app/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
  const hex = SMUGGLED.length.toString(16);

  /** How many requests upstream would read, if it goes by what it is told. */
  const requestsIn = async (asked: RawConnection): Promise<number> => {
    await asked.came("\r\n\r\n");
    // what is to come has come once a request behind it is there
    await new Promise((resolve) => setTimeout(resolve, 50));
    let [text, count] = [asked.text, 0];
    while (text !== "") {
      const end = text.indexOf("\r\n\r\n");
      if (end === -1) return count;
      count += 1;
      const head = text.slice(0, end).toLowerCase();
      text = text.slice(end + 4);
      const length = /\r\ncontent-length: (\d+)/.exec(head)?.[1];
      if (length !== undefined) text = text.slice(Number(length));
      else if (head.includes("\r\ntransfer-encoding: chunked")) {
        for (let size = -1; size !== 0; ) {
          const line = text.indexOf("\r\n");
          if (line === -1) return count;
          size = Number.parseInt(text.slice(0, line), 16);
          text = text.slice(line + 2 + size + 2);
        }
      }
    }
    return count;
  };

  it.each([
    ["DELETE in chunks", "DELETE /v2/acme/app/manifests/v1", ["Transfer-Encoding: chunked"], true],
    ["OPTIONS in chunks", "OPTIONS /v2/x", ["Transfer-Encoding: chunked"], true],
    ["DELETE whose length is named by Connection", "DELETE /v2/acme/app/manifests/v1", ["Connection: content-length"], false],
    ["GET whose length is named by Connection", "GET /v2/_other", ["Connection: close, Content-Length"], false],
    [
      "GET whose chunks are named by Connection",
      "GET /v2/_other",
      ["Transfer-Encoding: chunked", "Connection: transfer-encoding"],
      true,
    ],
    ["PATCH whose length is named by Connection", `PATCH ${UPLOAD}`, ["Connection: content-length"], false],
    ["GET in chunks", "GET /v2/_other", ["Transfer-Encoding: chunked"], true],
  ])("%s is one request", async (_what, line, headers, isChunked) => {
    const { upstream, client } = await world();
    if (isChunked) ask(client, line, headers, `${hex}\r\n${SMUGGLED}\r\n0\r\n\r\n`);
    else ask(client, line, [...headers, `Content-Length: ${SMUGGLED.length}`], SMUGGLED);
    expect(await requestsIn(await upstream.connection())).toBe(1);
  });

  it.each([
    ["a length and chunks", ["Content-Length: 5", "Transfer-Encoding: chunked"]],
    ["two lengths", ["Content-Length: 5", "Content-Length: 6"]],
    ["chunks that are not last", ["Transfer-Encoding: chunked, identity"]],
    ["a length with a sign", ["Content-Length: +5"]],
    ["a header before a space", ["Content-Length : 5"]],
    ["a folded header", ["X-A: b", " Content-Length: 5"]],
  ])("%s are refused, and nothing is asked", async (_what, headers) => {
    const { upstream, client, wire } = await world();
    ask(client, `PATCH ${UPLOAD}`, headers, "0\r\n\r\nabc");
    expect((await wire.head())?.status ?? 400).toBe(400);
    await until(() => client.destroyed || client.readableEnded);
    expect(upstream.connections.map(({ text }) => text).join("")).not.toContain("smuggled");
  });

  it.each([
    "/v2/../v2/denied/app/manifests/v1",
    "/x/../v2/denied/app/manifests/v1",
    "/%2e%2e/v2/denied/app/manifests/v1",
    "//v2/denied/app/manifests/v1",
    "/%76%32/denied/app/manifests/v1",
    "/v2/denied/app/%6danifests/v1",
    "/v2%2fdenied/app/manifests/v1",
    "/v2/acme/app/blobs/uploads/..%2f..%2f..%2f..%2fdenied/app/manifests/v1",
    "/v2\\denied\\app\\manifests\\v1",
    "/V2/denied/app/manifests/v1",
    "/v2/denied/app/manifests/v1/",
    "/v2/denied/app/tags/list/",
  ])("%s is refused: it reads in two ways", async (path) => {
    const { upstream, client, wire } = await world();
    ask(client, `PUT ${path}`, ["Content-Length: 2"], "{}");
    expect((await wire.head())?.status).toBe(400);
    expect(upstream.connections).toEqual([]);
  });

  it("does not break into an answer that is on its way", async () => {
    const { upstream, client, wire } = await world();
    ask(client, "GET /v2/_other");
    const asked = await upstream.connection();
    await asked.came("\r\n\r\n");
    asked.say(["HTTP/1.1 200 OK", "Content-Length: 10"], "01234");
    const head = await wire.head();
    client.write("no request at all\r\n\r\n");
    const seen = await bodyOf(wire, head!);
    expect("0123456789".startsWith(seen)).toBe(true);
  });
});

describe("Expect: 100-continue", () => {
  const EXPECT = ["Expect: 100-continue", "Content-Length: 3"];

  it("is upstream's to answer", async () => {
    const { upstream, client, wire } = await world();
    ask(client, `PATCH ${UPLOAD}`, EXPECT);
    const asked = await upstream.connection();
    await asked.came("\r\n\r\n");
    expect(headOf(asked)).toContain("expect: 100-continue");
    asked.say(["HTTP/1.1 100 Continue"]);
    expect((await wire.head())?.status).toBe(100);
    client.write("abc");
    await asked.came("abc");
    asked.say(OK);
    const head = await wire.head();
    expect(head?.status).toBe(201);
    expect(head?.headers.get("connection")).toBe("keep-alive");
  });

  it("is answered by a refusal instead, without a byte of the body", async () => {
    const { upstream, client, wire } = await world();
    ask(client, `PATCH ${UPLOAD}`, EXPECT);
    const asked = await upstream.connection();
    await asked.came("\r\n\r\n");
    asked.say(["HTTP/1.1 401 Unauthorized", 'WWW-Authenticate: Bearer realm="a"', "Content-Length: 2"], "no");
    const head = await wire.head();
    expect(head?.status).toBe(401);
    expect(head?.headers.get("www-authenticate")).toBe('Bearer realm="a"');
    expect(head?.headers.get("connection")).toBe("close");
    expect(await bodyOf(wire, head!)).toBe("no");
    await until(() => client.readableEnded || client.destroyed);
    expect(asked.text.endsWith("\r\n\r\n")).toBe(true);
  });

  it("is not waited for without end: the client is told to go on", async () => {
    const { upstream, client, wire } = await world();
    ask(client, `PATCH ${UPLOAD}`, EXPECT);
    const asked = await upstream.connection();
    const began = performance.now();
    expect((await wire.head())?.status).toBe(100);
    expect(performance.now() - began).toBeGreaterThan(500);
    client.write("abc");
    await asked.came("abc");
    asked.say(["HTTP/1.1 100 Continue"]);
    asked.say(OK);
    expect((await wire.head())?.status).toBe(201);
  });

  it("holds nobody up who sends all the same", async () => {
    const { upstream, client, wire } = await world();
    ask(client, `PATCH ${UPLOAD}`, EXPECT, "abc");
    const asked = await upstream.connection();
    await asked.came("abc");
    asked.say(OK);
    let head = await wire.head();
    if (head?.status === 100) head = await wire.head();
    expect(head?.status).toBe(201);
  });

  it("gets no 100 where we refuse ourselves", async () => {
    const upstream = await rawUpstream();
    const front = await startFront(upstream.url, { readOnly: true });
    const { client, wire } = await dialled(front);
    ask(client, `PATCH ${UPLOAD}`, EXPECT);
    const head = await wire.head();
    expect(head?.status).toBe(405);
    expect(head?.headers.get("connection")).toBe("close");
    expect(upstream.connections).toEqual([]);
  });
});

describe("an answer that comes early", () => {
  it.each([
    [401, "Unauthorized"],
    [413, "Payload Too Large"],
  ])("%i reaches a client that is still sending, and ends both sides", async (status, reason) => {
    const { upstream, client, wire } = await world();
    ask(client, `PATCH ${UPLOAD}`, ["Content-Length: 1000000000"]);
    const pump = setInterval(() => client.writable && client.write(Buffer.alloc(64 * 1024)), 5);
    onTestFinished(() => clearInterval(pump));
    const asked = await upstream.connection();
    await until(() => asked.length > 500_000);
    asked.say([`HTTP/1.1 ${status} ${reason}`, "Content-Length: 4", "Connection: close"], "why?");
    const head = await wire.head();
    expect(head?.status).toBe(status);
    expect(await bodyOf(wire, head!)).toBe("why?");
    await until(() => asked.isClosed);
    // our side has ended: the client knows that nothing more comes of it, and what it still sends is no error
    await until(() => client.readableEnded);
    clearInterval(pump);
  });

  it("is not taken by a reset from a client that wants the connection closed after it, as podman does", async () => {
    const { upstream, client, wire } = await world();
    const errors: Error[] = [];
    client.allowHalfOpen = true;
    client.on("error", (error) => errors.push(error));
    ask(client, `PATCH ${UPLOAD}`, ["Transfer-Encoding: chunked", "Connection: close"]);
    let sent = 0;
    const pump = setInterval(() => {
      if (!client.writable) return;
      client.write(`10000\r\n${"x".repeat(65_536)}\r\n`);
      sent += 1;
    }, 2);
    onTestFinished(() => clearInterval(pump));
    const asked = await upstream.connection();
    await until(() => asked.length > 500_000);
    asked.say(["HTTP/1.1 413 Payload Too Large", "Content-Length: 4", "Connection: close"], "why?");
    expect(await bodyOf(wire, (await wire.head())!)).toBe("why?");
    const before = sent;
    await until(() => sent > before + 50);
    expect(errors).toEqual([]);
  });

  it("is cut after a while where the client neither sends on nor leaves, and not before", { timeout: 30_000 }, async () => {
    const door = await openTestDoor(async ({ res }) => void res.writeHead(413, { "content-length": 0 }).end());
    const [silent, slow] = [await door.connect(), await door.connect()];
    for (const socket of [silent, slow]) socket.write("PATCH / HTTP/1.1\r\nhost: box\r\ncontent-length: 1000\r\n\r\nabc");
    await until(() => door.exchanges.length === 2);
    const began = performance.now();
    const pump = setInterval(() => slow.write("more"), 500);
    onTestFinished(() => clearInterval(pump));
    const sockets = door.exchanges.map(({ req }) => req.socket);
    await until(() => sockets.some(({ destroyed }) => destroyed));
    expect(performance.now() - began).toBeGreaterThan(4_000);
    expect(sockets.filter(({ destroyed }) => destroyed)).toHaveLength(1);
    slow.write(Buffer.alloc(1_000));
    await until(() => sockets.every(({ destroyed }) => destroyed));
  });

  it("of our own reaches it as well", async () => {
    const upstream = await rawUpstream();
    const front = await startFront(upstream.url, { readOnly: true });
    const { client, wire } = await dialled(front);
    ask(client, `PATCH ${UPLOAD}`, ["Content-Length: 100000000"]);
    for (let sent = 0; sent < 40; sent += 1) client.write(Buffer.alloc(64 * 1024));
    expect((await wire.head())?.status).toBe(405);
  });
});

describe("an upstream that takes nothing", () => {
  it.each([
    ["in one length", ["Content-Length: 1000000000"], ""],
    ["in chunks", ["Transfer-Encoding: chunked"], "10000\r\n"],
  ])("stops the client, whose body %s is held nowhere", { timeout: 30_000 }, async (_what, headers, before) => {
    const { upstream, client } = await world();
    const location = "/v2/acme/app/blobs/uploads/9";
    ask(client, "POST /v2/acme/app/blobs/uploads/", ["Content-Length: 0"]);
    const asked = await upstream.connection();
    await asked.came("\r\n\r\n");
    // it is an upload that is kept beside: that must not go on by itself
    asked.say(["HTTP/1.1 202 Accepted", `Location: ${location}`, "Content-Length: 0"]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const piece = Buffer.from(before + "x".repeat(64 * 1024) + (before === "" ? "" : "\r\n"));
    ask(client, `PATCH ${location}`, headers);
    client.write(piece);
    await asked.came("PATCH");
    asked.socket.pause();
    const memory = process.memoryUsage().rss;
    let [taken, idle] = [0, 0];
    while (idle < 50) {
      const isTaken = client.writableLength < piece.length * 2;
      if (isTaken) client.write(piece);
      if (isTaken) taken += piece.length;
      idle = isTaken ? 0 : idle + 1;
      await new Promise((resolve) => setTimeout(resolve, isTaken ? 0 : 10));
      if (taken > 200_000_000) break;
    }
    expect(taken).toBeLessThan(40_000_000);
    expect(process.memoryUsage().rss - memory).toBeLessThan(150_000_000);
    asked.socket.resume();
    const soFar = taken;
    await until(() => asked.length > soFar - 1_000_000);
  });
});

describe("who leaves", () => {
  it("a client in the midst of its body: upstream's request ends", async () => {
    const { upstream, client } = await world();
    ask(client, `PATCH ${UPLOAD}`, ["Content-Length: 1000"], "abc");
    const asked = await upstream.connection();
    await asked.came("abc");
    client.destroy();
    await until(() => asked.isClosed);
  });

  it("a client that has sent all and waits: upstream's request ends", async () => {
    const { upstream, client } = await world();
    ask(client, `PUT ${UPLOAD}`, ["Content-Length: 3"], "abc");
    const asked = await upstream.connection();
    await asked.came("abc");
    client.destroy();
    await until(() => asked.isClosed);
  });

  it("a client whose chunks are broken: it is told so, and upstream's request ends", async () => {
    const { upstream, client, wire } = await world();
    ask(client, `PATCH ${UPLOAD}`, ["Transfer-Encoding: chunked"], "3\r\nabc\r\n");
    const asked = await upstream.connection();
    await asked.came("abc");
    client.write("xyz\r\n");
    expect((await wire.head())?.status).toBe(400);
    await until(() => asked.isClosed);
    expect(asked.text.endsWith("0\r\n\r\n")).toBe(false);
  });

  it("upstream in the midst of the body: the client hears 503 and may go", async () => {
    const { upstream, client, wire } = await world();
    ask(client, `PATCH ${UPLOAD}`, ["Content-Length: 1000"], "abc");
    const asked = await upstream.connection();
    await asked.came("abc");
    asked.socket.resetAndDestroy();
    const head = await wire.head();
    expect(head?.status).toBe(503);
    await bodyOf(wire, head!);
    await until(() => client.readableEnded || client.destroyed);
  });

  it("upstream for another protocol, which nobody has asked for: the client hears 503", async () => {
    const { upstream, client, wire } = await world();
    ask(client, `PATCH ${UPLOAD}`, ["Content-Length: 3", "Connection: upgrade", "Upgrade: raw"], "abc");
    const asked = await upstream.connection();
    await asked.came("abc");
    expect(asked.text.toLowerCase()).not.toContain("upgrade");
    asked.say(["HTTP/1.1 101 Switching Protocols", "Connection: upgrade", "Upgrade: raw"]);
    expect((await wire.head())?.status).toBe(503);
    await until(() => asked.isClosed);
  });

  it("upstream in the midst of its answer: the client's breaks off too", async () => {
    const { upstream, client, wire } = await world();
    ask(client, `PUT ${UPLOAD}`, ["Content-Length: 3"], "abc");
    const asked = await upstream.connection();
    await asked.came("abc");
    asked.say(["HTTP/1.1 201 Created", "Content-Length: 10"], "half");
    const head = await wire.head();
    asked.socket.destroy();
    expect(await wire.body(head!, () => true)).toBe(false);
  });
});

describe("hop by hop", () => {
  it("upstream's own words about its connection stay with it", async () => {
    const { upstream, client, wire } = await world();
    ask(client, "GET /v2/_other");
    const asked = await upstream.connection();
    await asked.came("\r\n\r\n");
    asked.say(["HTTP/1.1 200 OK", "Connection: close, x-hop", "X-Hop: 1", "Keep-Alive: timeout=1", "Content-Length: 2"], "ok");
    const head = await wire.head();
    expect(head?.headers.get("connection")).toBe("keep-alive");
    expect(head?.headers.has("x-hop")).toBe(false);
    expect(head?.headers.get("keep-alive")).not.toBe("timeout=1");
    expect(await bodyOf(wire, head!)).toBe("ok");
  });

  it("a client that wants its connection closed has it closed", async () => {
    const { upstream, client, wire } = await world();
    ask(client, "GET /v2/_other", ["Connection: close"]);
    const asked = await upstream.connection();
    await asked.came("\r\n\r\n");
    asked.say(["HTTP/1.1 200 OK", "Content-Length: 2"], "ok");
    const head = await wire.head();
    expect(head?.headers.get("connection")).toBe("close");
    await bodyOf(wire, head!);
    await once(client, "end");
  });

  it("HTTP/1.0 gets no chunks, and its connection ends with the answer", async () => {
    const { upstream, client } = await world();
    client.write(`GET /v2/_other HTTP/1.0\r\nHost: ${HOST}\r\n\r\n`);
    const asked = await upstream.connection();
    await asked.came("\r\n\r\n");
    asked.say(["HTTP/1.1 200 OK", "Transfer-Encoding: chunked"], "2\r\nok\r\n0\r\n\r\n");
    const text = Buffer.concat((await client.toArray()) as Buffer[]).toString();
    expect(text.toLowerCase()).not.toContain("transfer-encoding");
    expect(text.endsWith("\r\n\r\nok")).toBe(true);
  });
});
