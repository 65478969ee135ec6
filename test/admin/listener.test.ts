// The admin listener as a hostile world meets it: real sockets, a real front end behind.
import { chmodSync, readFileSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { openAdmin } from "../../src/app-admin.ts";
import { loadConfig } from "../../src/config/load.ts";
import { type Logger, silent } from "../../src/lib/log.ts";
import { installationToken } from "../../src/lib/secret.ts";
import { emptyFolder } from "../cli/command.ts";
import { Front, freePort, startFront } from "../front.ts";
import { ask, bearer, raw, tokenOf } from "./asking.ts";

const NOWHERE = "http://127.0.0.1:9";
const codeOf = (text: string): string => (JSON.parse(text) as { error: { code: string } }).error.code;

describe("who may ask", () => {
  it("is told where the token is, and nothing else, without it", async () => {
    const front = await startFront(NOWHERE);
    for (const authorization of [undefined, "", "Bearer", "Bearer x", `Basic ${tokenOf(front)}`, `Bearer ${tokenOf(front)}x`]) {
      const answer = await ask(front, "/api/v1/status", { headers: authorization === undefined ? {} : { authorization } });
      expect(answer.status).toBe(401);
      expect(answer.headers["www-authenticate"]).toBe('Bearer realm="layover"');
      expect(answer.headers["layover-version"]).toBeUndefined();
      expect(JSON.parse(answer.text)).toEqual({
        error: { code: "UNAUTHORIZED", message: expect.stringContaining("admin.token") },
      });
      expect(answer.text).not.toContain(front.folder);
    }
    expect((await ask(front, "/api/v1/nothing")).status).toBe(401);
  });

  it("has a token that only its owner reads, the same after a restart", async () => {
    const front = await startFront(NOWHERE);
    const file = join(front.folder, "data/admin.token");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const token = tokenOf(front);
    expect(token).toMatch(/^[\w-]{43}$/);
    await front.stop();
    chmodSync(file, 0o644);
    await front.start();
    expect({ token: tokenOf(front), mode: statSync(file).mode & 0o777 }).toEqual({ token, mode: 0o600 });
    expect((await ask(front, "/api/v1/status", { headers: bearer(front) })).status).toBe(200);
  });

  it("is no browser on its way from elsewhere", async () => {
    const front = await startFront(NOWHERE);
    const headers = bearer(front);
    const status = async (more: object) => (await ask(front, "/api/v1/status", { headers: { ...headers, ...more } })).status;
    expect(await status({ host: "evil.example" })).toBe(421);
    expect(await status({ host: "127.0.0.1.evil.example:9180" })).toBe(421);
    expect(await status({ host: "layover" })).toBe(200);
    expect(await status({ host: "LOCALHOST:9180" })).toBe(200);
    expect(await status({ host: "[::1]:9180" })).toBe(200);
    expect(await status({ origin: "https://evil.example" })).toBe(403);
    expect(await status({ origin: "null" })).toBe(403);
    expect(await status({ host: "localhost:9180", origin: "http://localhost:9180" })).toBe(200);
    expect(await status({ "sec-fetch-site": "cross-site" })).toBe(403);
    expect(await status({ "sec-fetch-site": "same-origin" })).toBe(200);
    const preflight = await ask(front, "/api/v1/status", { method: "OPTIONS", headers: { origin: "https://evil.example" } });
    expect(preflight.status).toBe(403);
    expect(preflight.headers["access-control-allow-origin"]).toBeUndefined();
  });

  it("is nobody where the listener is turned off", async () => {
    const front = new Front(NOWHERE, {});
    await front.start({ listen: { admin: "[]" } });
    expect(front.running.identity.admin).toBeUndefined();
  });
});

describe("requests", () => {
  it("get one shape of errors", async () => {
    const front = await startFront(NOWHERE);
    const headers = bearer(front);
    const post = { ...headers, "content-type": "application/json" };
    const cases = [
      ["GET", "/api/v1/nothing", headers, undefined, 404, "NO_SUCH_PATH"],
      ["GET", "/api/v1/status/", headers, undefined, 404, "NO_SUCH_PATH"],
      ["GET", "/api/v1/%73tatus", headers, undefined, 404, "NO_SUCH_PATH"],
      ["GET", "/", headers, undefined, 404, "NO_SUCH_PATH"],
      ["DELETE", "/api/v1/status", headers, undefined, 405, "METHOD_NOT_ALLOWED"],
      ["POST", "/api/v1/status", post, "{}", 405, "METHOD_NOT_ALLOWED"],
      ["GET", "/api/v1/status?x=1", headers, undefined, 400, "INVALID"],
      ["GET", "/api/v1/status?x=1&x=2", headers, undefined, 400, "INVALID"],
    ] as const;
    for (const [method, path, sent, body, status, code] of cases) {
      const answer = await ask(front, path, { method, headers: sent, ...(body === undefined ? {} : { body }) });
      expect([method, path, answer.status, codeOf(answer.text)]).toEqual([method, path, status, code]);
      expect(answer.headers["content-type"]).toBe("application/json");
    }
    expect((await ask(front, "/api/v1/status", { method: "DELETE", headers })).headers["allow"]).toBe("GET");
  });

  it("of any path and query are answered, and leave it well", async () => {
    const front = await startFront(NOWHERE);
    const headers = bearer(front);
    const text = fc.string({ unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)) });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom("/", "/api/v1/", "/api/v1/status", "/api/v1/status?"), text, async (start, rest) => {
        const { status, text } = await ask(front, `${start}${rest}`, { headers });
        expect([200, 400, 404]).toContain(status);
        if (status !== 200) expect(JSON.parse(text)).toMatchObject({ error: { code: expect.any(String) } });
      }),
      { numRuns: 100 },
    );
    expect((await ask(front, "/api/v1/status", { headers })).status).toBe(200);
  });

  it("that are no HTTP, or too much of it, are cut", async () => {
    const front = await startFront(NOWHERE);
    expect(await raw(front, "\x16\x03\x01 hello\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
    expect(await raw(front, `GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(40_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431 /,
    );
    expect(await raw(front, "GET /api/v1/status HTTP/1.1\r\nConnection: close\r\n\r\n")).toMatch(/^HTTP\/1\.1 (400|421) /);
    expect((await ask(front, "/api/v1/status", { headers: bearer(front) })).status).toBe(200);
  });
});

describe("the status", () => {
  it("says what runs where", async () => {
    const front = await startFront(NOWHERE);
    const answer = await ask(front, "/api/v1/status", { headers: bearer(front) });
    expect(answer.headers["layover-version"]).toMatch(/^\d+\.\d+\.\d+$/);
    expect(answer.headers["cache-control"]).toBe("no-store");
    expect(JSON.parse(answer.text)).toMatchObject({ ready: true, notes: [], data: join(front.folder, "data") });
  });
});

describe("the door", () => {
  it("that is taken is named with the key that moves it", async () => {
    const port = await freePort();
    const first = new Front(NOWHERE, {});
    await first.start({ listen: { admin: `127.0.0.1:${port}` } });
    const second = new Front(NOWHERE, {});
    await expect(second.start({ listen: { admin: `127.0.0.1:${port}` } })).rejects.toThrow(
      new RegExp(
        `cannot listen on 127.0.0.1:${port} for ADMIN: the port is taken by .*\\n.*LAYOVER_LISTEN_ADMIN=127.0.0.1:${port + 1}`,
      ),
    );
  });

  it("does not keep a connection for somebody who sends nothing", async () => {
    const front = await startFront(NOWHERE);
    const socket = connect(Number(front.running.identity.admin!.split(":")[1]), "127.0.0.1");
    await new Promise((resolve) => socket.once("connect", resolve));
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await front.stop();
    await closed;
  });
});

describe("a listener for other machines", () => {
  it("needs the token as well, and is warned of", async () => {
    const warnings: unknown[] = [];
    const log = { ...silent, warn: (line: unknown) => warnings.push(line) } as unknown as Logger;
    const cwd = emptyFolder();
    const config = await loadConfig({ file: undefined, env: { LAYOVER_CLIENTS: "10.0.0.0/8" }, cwd });
    const parts = { config, log, version: "1", kept: {}, mirror: {} } as unknown as Parameters<typeof openAdmin>[1];
    const { clients } = await openAdmin({ host: "0.0.0.0", port: 9180 }, parts);
    expect(warnings).toEqual([{ address: "0.0.0.0:9180" }]);
    expect(["127.0.0.1", "::1", "10.1.2.3", "192.168.0.1", "8.8.8.8"].filter(clients)).toEqual(["127.0.0.1", "::1", "10.1.2.3"]);
    const front = new Front(NOWHERE, {});
    await front.start({ listen: { admin: "0.0.0.0:0" } });
    expect((await ask(front, "/api/v1/status")).status).toBe(401);
    expect((await ask(front, "/api/v1/status", { headers: bearer(front) })).status).toBe(200);
  });
});

describe("a token", () => {
  it("of a user's own is taken as it is, when it is one", async () => {
    const front = new Front(NOWHERE, {});
    const file = join(front.folder, "own.token");
    const made = await installationToken(file);
    expect(readFileSync(file, "utf8")).toBe(`${made}\n`);
    expect(await installationToken(file)).toBe(made);
  });
});
