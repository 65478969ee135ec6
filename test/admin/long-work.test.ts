// Long work over a real socket: how it is told, that there is one of each kind, and how it ends.
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { adminApi } from "../../src/admin/api.ts";
import type { Content } from "../../src/admin/content.ts";
import { AdminError } from "../../src/admin/error.ts";
import type { Call, Operations } from "../../src/admin/operations.ts";
import { remoteOperations, type Server, Unreachable } from "../../src/admin/remote.ts";
import { ROUTES } from "../../src/admin/routes.ts";
import { UnderWay } from "../../src/admin/under-way.ts";
import { openDoor } from "../../src/http/server.ts";
import { silent } from "../../src/lib/log.ts";
import { OciError } from "../../src/oci/error.ts";
import { quiet } from "../suites/operations.ts";

const TOKEN = "t".repeat(43);
const DONE = { images: [] };
const INPUT = { references: ["ubuntu"] };
const BODY = JSON.stringify(INPUT);

/** A listener whose long work is what it is told. */
const listener = async (
  work: (call: Call) => Promise<unknown>,
  operations = { refresh: (_: unknown, call: Call) => work(call) } as unknown as Operations,
) => {
  const api = adminApi({
    operations,
    content: {} as Content,
    underWay: new UnderWay(),
    guard: { token: TOKEN, names: [] },
    metrics: () => Promise.reject(new Error("nobody asks for them here")),
    version: "1.2.3",
    log: silent,
  });
  const address = { host: "127.0.0.1", port: 0 };
  const door = await openDoor({ door: "admin", address, dispatch: api.handle, clients: () => true });
  const server: Server = { url: new URL(`http://127.0.0.1:${door.address.port}`), token: TOKEN };
  onTestFinished(() => door.drain(AbortSignal.abort()));
  return { api, door, server, operations: remoteOperations(server) };
};

const post = (server: Server, path: string, body: string | undefined, headers: Record<string, string> = {}) =>
  fetch(new URL(path, server.url), {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json", ...headers },
    ...(body === undefined ? {} : { body }),
  });

/** Ends when its caller has gone. */
const endless = (call: Call): Promise<never> =>
  new Promise((_, reject) => call.signal.addEventListener("abort", () => reject(call.signal.reason as Error), { once: true }));

describe("long work", () => {
  it("is told line by line, the last of them the result", async () => {
    const { server, operations } = await listener(async ({ progress }) => {
      progress({ done: 1, total: 2, unit: "blobs" });
      progress({ done: 2, total: 2, unit: "blobs" });
      return DONE;
    });
    const answer = await post(server, "/api/v1/refresh", BODY);
    expect(answer.headers.get("content-type")).toBe("application/x-ndjson");
    const lines = (await answer.text())
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as object);
    expect(lines).toEqual([{ progress: { done: 1, total: 2, unit: "blobs" } }, { result: DONE }]);
    const told: unknown[] = [];
    expect(await operations.refresh(INPUT, { ...quiet, progress: (progress) => told.push(progress) })).toEqual(DONE);
    expect(told).toEqual([{ done: 1, total: 2, unit: "blobs" }]);
  });

  it.each([
    [new AdminError("NOT_HELD", "nothing"), "NOT_HELD", 404, "nothing"],
    [new OciError("TOOMANYREQUESTS", "quota"), "UPSTREAM", 502, "TOOMANYREQUESTS: quota"],
    [new OciError("UNAUTHORIZED", "who"), "UPSTREAM", 502, "UNAUTHORIZED: who"],
    [new OciError("MANIFEST_UNKNOWN", "no"), "NOT_HELD", 404, "MANIFEST_UNKNOWN: no"],
    [new Error("disk"), "INTERNAL", 500, "disk"],
  ])("that fails with %s says so, as a status or as the last line", async (error, code, status, message) => {
    let early = true;
    const { server, operations } = await listener(async ({ progress }) => {
      if (!early) progress({ done: 0, unit: "blobs" });
      throw error;
    });
    const answer = await post(server, "/api/v1/refresh", BODY);
    expect({ status: answer.status, body: await answer.json() }).toEqual({ status, body: { error: { code, message } } });
    await expect(operations.refresh(INPUT, quiet)).rejects.toMatchObject({ code, message });
    early = false;
    await expect(operations.refresh(INPUT, quiet)).rejects.toMatchObject({ code, message });
  });

  it("is done for one at a time", async () => {
    const begun = Promise.withResolvers<void>();
    const { operations } = await listener((call) => {
      call.progress({ done: 3, total: 9, unit: "blobs" });
      begun.resolve();
      return endless(call);
    });
    const stop = new AbortController();
    const first = operations.refresh(INPUT, { ...quiet, signal: stop.signal });
    await begun.promise;
    const busy = operations.refresh(INPUT, quiet);
    await expect(busy).rejects.toMatchObject({
      code: "BUSY",
      message: expect.stringMatching(/^refresh is under way since .*Z: 3 of 9 blobs \(33 %\)$/),
    });
    stop.abort(new Error("enough"));
    await expect(first).rejects.toThrow("enough");
  });

  it("stops when its client goes, and can be asked for again", async () => {
    const stopped = Promise.withResolvers<unknown>();
    let times = 0;
    const { operations } = await listener((call) => {
      times += 1;
      if (times > 1) return Promise.resolve(DONE);
      call.signal.addEventListener("abort", () => stopped.resolve(call.signal.reason));
      call.progress({ done: 0, unit: "blobs" });
      return endless(call);
    });
    const stop = new AbortController();
    const first = operations.refresh(INPUT, { signal: stop.signal, progress: () => stop.abort(new Error("enough")) });
    await expect(first).rejects.toThrow("enough");
    expect(await stopped.promise).toMatchObject({ message: "the client has gone" });
    await expect.poll(() => operations.refresh(INPUT, quiet).catch(() => undefined), { timeout: 5_000 }).toEqual(DONE);
  });

  it("ends with a word when the listener closes", async () => {
    const { api, operations } = await listener((call) => {
      call.progress({ done: 0, unit: "blobs" });
      return endless(call);
    });
    const work = operations.refresh(INPUT, { ...quiet, progress: () => api.close() });
    await expect(work).rejects.toMatchObject({ code: "UNAVAILABLE", message: "Layover is shutting down" });
    await expect(operations.refresh(INPUT, quiet)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("that is torn off is no answer", async () => {
    const { door, operations } = await listener((call) => {
      call.progress({ done: 0, unit: "blobs" });
      return endless(call);
    });
    const work = operations.refresh(INPUT, { ...quiet, progress: () => void door.drain(AbortSignal.abort()) });
    await expect(work).rejects.toThrow(Unreachable);
    await expect(work).rejects.toThrow(/went away before it had answered/);
  });

  it("is not held up by a client that does not read", async () => {
    const finished = Promise.withResolvers<void>();
    const { server } = await listener(async ({ progress }) => {
      const at = "x".repeat(60_000);
      for (let done = 0; done < 30; done += 1) {
        progress({ done, unit: "blobs", at });
        await sleep(101);
      }
      finished.resolve();
      return DONE;
    });
    const socket = connect(Number(server.url.port), "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    await once(socket, "connect");
    socket
      .pause()
      .write(
        `POST /api/v1/refresh HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`,
      );
    await finished.promise;
  });
});

describe("a body", () => {
  const answering = async () => (await listener(async () => DONE)).server;
  const codeOf = async (answer: Response) => [answer.status, ((await answer.json()) as { error: { code: string } }).error.code];

  it("is JSON, bounded, and of what is asked for", async () => {
    const server = await answering();
    const at = "/api/v1/refresh";
    expect(await codeOf(await post(server, at, "{"))).toEqual([400, "INVALID"]);
    expect(await codeOf(await post(server, at, '{"x":1}'))).toEqual([400, "INVALID"]);
    expect(await codeOf(await post(server, at, "[]"))).toEqual([400, "INVALID"]);
    expect(await codeOf(await post(server, at, "null"))).toEqual([400, "INVALID"]);
    expect(await codeOf(await post(server, at, '{"__proto__":{"x":1}}'))).toEqual([400, "INVALID"]);
    expect(await codeOf(await post(server, at, BODY, { "content-type": "text/plain" }))).toEqual([415, "UNSUPPORTED_TYPE"]);
    expect(await codeOf(await post(server, at, "x".repeat(300_000)))).toEqual([413, "TOO_LARGE"]);
    expect(await codeOf(await post(server, at, "{}"))).toEqual([400, "INVALID"]);
    expect(await codeOf(await post(server, at, '{"references":[1]}'))).toEqual([400, "INVALID"]);
    expect(await codeOf(await post(server, at, '{"references":["a"],"credential":"a\\nb"}'))).toEqual([400, "INVALID"]);
    expect((await post(server, at, BODY)).status).toBe(200);
  });

  it("that is longer than it said it would be, or has no length, is cut", async () => {
    const server = await answering();
    const chunked = `${"10000\r\n"}${"x".repeat(65_536)}\r\n`.repeat(6);
    const socket = connect(Number(server.url.port), "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    let text = "";
    socket.on("data", (piece) => (text += piece.toString()));
    socket.on("error", () => undefined);
    socket.write(
      `POST /api/v1/refresh HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`,
    );
    await once(socket, "close");
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect(text).toContain("Connection: close".toLowerCase());
  });
});

describe("any JSON", () => {
  it("is taken or refused, by every operation", async () => {
    const operations = new Proxy({}, { get: () => async (input: unknown) => input }) as Operations;
    const { server } = await listener(async () => DONE, operations);
    const posts = Object.values(ROUTES).filter(({ method }) => method === "POST");
    const field = fc.constantFrom("reference", "references", "platforms", "credential", "dryRun", "__proto__", "x");
    const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom("ubuntu", ["ubuntu"], "all", true));
    const body = fc.oneof(fc.dictionary(field, value, { maxKeys: 3 }), fc.jsonValue({ maxDepth: 3 }));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...posts), body, async ({ path }, input) => {
        const answer = await post(server, path, JSON.stringify(input));
        const text = await answer.text();
        expect([200, 400]).toContain(answer.status);
        if (answer.status === 400) expect(JSON.parse(text)).toMatchObject({ error: { code: "INVALID" } });
      }),
      { numRuns: 150 },
    );
  });
});
