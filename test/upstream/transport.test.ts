import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { readBounded } from "../../src/upstream/body.ts";
import type { Sent } from "../../src/upstream/transport.ts";
import { redirect, redirectTo, stall, status } from "../faults/behaviours.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { asking, failureOf, noResolver, transportFor } from "./asking.ts";
import { namesAt, silentNames } from "./names.ts";

const get = (url: URL | string, more: Partial<Sent> = {}): Sent => {
  const { signal, tally } = asking();
  return { method: "GET", kind: "question", url: new URL(url), headers: {}, signal, tally, ...more };
};
const blobOf = async (length = 1_000) => {
  const upstream = await faultUpstream();
  const { layers } = upstream.content.seed({ repo: "a", tag: "1", layers: length });
  return { upstream, blob: layers[0]!, url: new URL(`/v2/a/blobs/${layers[0]!.digest}`, upstream.url) };
};
/** A bare TCP server; `talk` gets each connection and how many there were before it. */
const tcp = async (talk: (socket: Socket, nth: number) => void): Promise<URL> => {
  const open = new Set<Socket>();
  let nth = 0;
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => undefined);
    talk(socket, nth++);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    for (const socket of open) socket.destroy();
    server.close();
    await once(server, "close");
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
};
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

describe("redirects", () => {
  it("are followed to another origin with the range and without the credential", async () => {
    const { upstream, blob, url } = await blobOf();
    upstream.fault(/blobs/, redirect());
    const headers = { authorization: "Bearer secret", cookie: "a=b", range: "bytes=10-19" };
    const answer = await transportFor().send(get(url, { headers }));
    expect(answer.status).toBe(206);
    expect(Buffer.from(await answer.body.arrayBuffer())).toEqual(blob.bytes.subarray(10, 20));
    expect(answer.url.origin).not.toBe(upstream.url.origin);
    const [first, second] = upstream.log;
    expect(first).toMatchObject({ origin: "registry", hasAuthorization: true, range: "bytes=10-19" });
    expect(second).toMatchObject({ origin: "store", hasAuthorization: false, range: "bytes=10-19" });
    expect(second!.headers.cookie).toBeUndefined();
  });

  it("keep the credential within the origin, also where Location is relative", async () => {
    const { upstream, url } = await blobOf();
    upstream.fault(/blobs/, redirectTo("../manifests/1?x=1", 302), 1);
    const answer = await transportFor().send(get(url, { headers: { authorization: "Basic eDp5" } }));
    expect(answer.status).toBe(200);
    await answer.body.dump();
    expect(upstream.log[1]).toMatchObject({ path: "/v2/a/manifests/1?x=1", hasAuthorization: true });
  });

  it("never give a credential back to who had it first", async () => {
    const { upstream, url } = await blobOf();
    const other = await faultUpstream();
    upstream.fault(/blobs/, redirectTo(new URL("/elsewhere", other.url).href));
    other.fault(/elsewhere/, redirectTo(new URL("/v2/", upstream.url).href));
    const answer = await transportFor().send(get(url, { headers: { authorization: "Basic eDp5" } }));
    await answer.body.dump();
    expect(upstream.log.map(({ hasAuthorization }) => hasAuthorization)).toEqual([true, false]);
    expect(other.log.map(({ hasAuthorization }) => hasAuthorization)).toEqual([false]);
  });

  it("end: five, then no more", async () => {
    const { upstream, url } = await blobOf();
    upstream.fault(/blobs/, redirectTo(url.href));
    const sent = get(url);
    expect((await failureOf(transportFor().send(sent))).code).toBe("UPSTREAM_INVALID");
    expect(upstream.count()).toBe(6);
    expect(sent.tally.upstreamRequests).toBe(6);
  });

  it.each(["http://", "file:///etc/passwd", "https://[", "javascript:alert(1)"])("to %s are not followed", async (location) => {
    const { upstream, url } = await blobOf();
    upstream.fault(/blobs/, redirectTo(location));
    expect((await failureOf(transportFor().send(get(url)))).code).toBe("UPSTREAM_INVALID");
  });

  it("are an answer where they lead nowhere", async () => {
    const { upstream, url } = await blobOf();
    upstream.fault(/blobs/, status(304));
    const answer = await transportFor().send(get(url));
    expect(answer.status).toBe(304);
    await answer.body.dump();
  });

  it("do not wait for what else the redirecting server has to say", async () => {
    const { upstream } = await blobOf();
    const target = new URL("/v2/", upstream.url).href;
    const url = await tcp((socket) => {
      socket.once("data", () => socket.write(`HTTP/1.1 307 x\r\nlocation: ${target}\r\ncontent-length: 1000\r\n\r\nmore`));
    });
    const answer = await transportFor().send(get(url));
    expect(answer.status).toBe(200);
    await answer.body.dump();
  });
});

describe("loops", () => {
  it("are seen by 508", async () => {
    const { upstream, url } = await blobOf();
    upstream.fault(/blobs/, status(508));
    expect((await failureOf(transportFor().send(get(url)))).code).toBe("LOOP_DETECTED");
  });

  it("are seen before the first byte, by name, by address and by redirect", async () => {
    const { upstream, url } = await blobOf();
    const other = await faultUpstream();
    const isOurs = (_address: string, port: number) => port === Number(upstream.url.port);
    const transport = transportFor({ resolver: noResolver(isOurs) });
    expect((await failureOf(transport.send(get(url)))).code).toBe("LOOP_DETECTED");
    expect((await failureOf(transport.send(get(`http://localhost:${upstream.url.port}/`)))).code).toBe("LOOP_DETECTED");
    other.fault(/v2/, redirectTo(url.href));
    expect((await failureOf(transport.send(get(new URL("/v2/", other.url))))).code).toBe("LOOP_DETECTED");
    expect(upstream.count()).toBe(0);
  });

  it("are made visible to others: Via goes along, and no encoding is asked for", async () => {
    const { upstream, url } = await blobOf();
    const answer = await transportFor().send(get(url));
    await answer.body.dump();
    expect(upstream.log[0]!.headers).toMatchObject({
      via: "1.1 layover-test",
      "accept-encoding": "identity",
      "user-agent": "layover/test",
    });
  });
});

describe("connections", () => {
  it("that are refused or a name that nobody knows are UPSTREAM_UNREACHABLE, with the host and why", async () => {
    const { upstream, url } = await blobOf();
    await upstream.stop();
    const failure = await failureOf(transportFor().send(get(url)));
    expect(failure).toMatchObject({ code: "UPSTREAM_UNREACHABLE", message: `${url.host} cannot be reached: ECONNREFUSED` });
    const unknown = await failureOf(transportFor().send(get("http://registry.example/")));
    expect(unknown).toMatchObject({ code: "UPSTREAM_UNREACHABLE", message: "no resolver knows registry.example" });
  });

  it.each([
    ["closed", (socket: Socket) => socket.end()],
    ["reset", (socket: Socket) => socket.resetAndDestroy()],
    ["answered with noise", (socket: Socket) => socket.end("SSH-2.0-OpenSSH\r\n")],
    ["answered with half a header", (socket: Socket) => socket.end("HTTP/1.1 200 OK\r\nx-a")],
    ["answered with a huge header", (socket: Socket) => socket.end(`HTTP/1.1 200 OK\r\nx: ${"a".repeat(100_000)}\r\n\r\n`)],
  ])("that are %s are UPSTREAM_UNREACHABLE", async (_how, end) => {
    let connections = 0;
    const url = await tcp((socket) => {
      connections += 1;
      socket.once("data", () => end(socket));
    });
    expect((await failureOf(transportFor().send(get(url)))).code).toBe("UPSTREAM_UNREACHABLE");
    expect(connections).toBeLessThanOrEqual(2);
  });

  it("that were closed while idle are made anew, once", async () => {
    let requests = 0;
    const url = await tcp((socket, nth) => {
      socket.on("data", () => {
        requests += 1;
        // the first connection answers once and is torn when it is used again
        if (nth === 0 && requests > 1) socket.resetAndDestroy();
        else socket.write(OK);
      });
    });
    const transport = transportFor();
    const ask = async () => (await transport.send(get(url))).body.text();
    expect(await ask()).toBe("ok");
    // the connection is free again once the loop has turned
    await new Promise((resolve) => void setImmediate(resolve));
    expect(await ask()).toBe("ok");
    expect(requests).toBe(3);
  });

  it("are used again after an answer that nobody wanted", async () => {
    const { upstream, url } = await blobOf();
    const transport = transportFor();
    upstream.fault(/blobs/, redirectTo(new URL("/v2/", upstream.url).href));
    for (let round = 0; round < 5; round += 1) await (await transport.send(get(url))).body.dump();
    expect(new Set(upstream.log.map(({ connection }) => connection)).size).toBeLessThanOrEqual(2);
  });

  it("try the next address of a name", async () => {
    const { upstream, url } = await blobOf();
    const transport = transportFor({ resolver: await namesAt("::1", "127.0.0.2", "127.0.0.1") });
    const answer = await transport.send(get(`http://registry.example:${upstream.url.port}${url.pathname}`));
    expect(answer.status).toBe(200);
    expect(upstream.log[0]!.headers.host).toBe(`registry.example:${upstream.url.port}`);
    await answer.body.dump();
  });

  it("that fall silent are UPSTREAM_UNREACHABLE, before the answer and amid it", async () => {
    const { upstream, url } = await blobOf();
    const transport = transportFor({ idle: 50 });
    upstream.fault(/blobs/, stall(10));
    const answer = await transport.send(get(url));
    expect((await failureOf(readBounded(answer.body, 2_000))).code).toBe("UPSTREAM_UNREACHABLE");
    upstream.freeze();
    expect((await failureOf(transport.send(get(url)))).code).toBe("UPSTREAM_UNREACHABLE");
  });

  it("end when the caller leaves: before an answer, and amid its body", async () => {
    const { upstream, url } = await blobOf(4_000_000);
    const stop = new AbortController();
    upstream.freeze();
    const waiting = transportFor().send(get(url, { signal: stop.signal }));
    await expect.poll(() => upstream.count()).toBe(1);
    const reason = new Error("the client left");
    stop.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    upstream.thaw();
    const leave = new AbortController();
    const answer = await transportFor().send(get(url, { signal: leave.signal }));
    leave.abort(reason);
    await expect(answer.body.arrayBuffer()).rejects.toBe(reason);
    await expect(transportFor().send(get(url, { signal: leave.signal }))).rejects.toBe(reason);
  });

  it("are left at once while the name is still being looked up", async () => {
    const client = new AbortController();
    const waiting = transportFor({ resolver: await silentNames() }).send(
      get("http://registry.example/", { signal: client.signal }),
    );
    const began = performance.now();
    const reason = new Error("the client left");
    client.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(performance.now() - began).toBeLessThan(500);
  });

  it("end with the transport", async () => {
    const { upstream, url } = await blobOf();
    upstream.freeze();
    const transport = transportFor();
    const waiting = failureOf(transport.send(get(url)));
    await expect.poll(() => upstream.count()).toBe(1);
    await transport.close();
    expect((await waiting).code).toBe("UPSTREAM_UNREACHABLE");
  });
});
