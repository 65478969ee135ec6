// The bytes of bundles over the admin listener, as a hostile world asks for them, and over a line that breaks.
import { writeFileSync } from "node:fs";
import { request } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, expect, it, onTestFinished } from "vitest";
import { remoteOperations } from "../../src/admin/remote.ts";
import { remoteContent } from "../../src/admin/remote-content.ts";
import { openAlone } from "../../src/app-alone.ts";
import { importBundle } from "../../src/bundle/import.ts";
import { piecesOf } from "../../src/bundle/pieces.ts";
import { openBundle } from "../../src/bundle/read.ts";
import { writeToFile } from "../../src/bundle/write.ts";
import { loadConfig } from "../../src/config/load.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { image, layout } from "../bundle/layout.ts";
import { emptyFolder } from "../cli/command.ts";
import { Front } from "../front.ts";
import { SITES } from "../suites/bundles.ts";
import { quiet } from "../suites/operations.ts";
import { ask, bearer, raw, tokenOf, urlOf } from "./asking.ts";

const BYTES = Buffer.alloc(100_000, "content");
const DIGEST = digestOf(BYTES);
const PATH = `/api/v1/content/${DIGEST}`;

const start = async (): Promise<Front> => {
  const front = new Front("http://127.0.0.1:9", {}, SITES);
  await front.start();
  return front;
};

const put = (front: Front, body: Buffer, headers: object = {}, path = PATH): Promise<number> =>
  new Promise((resolve, reject) => {
    const url = new URL(path, urlOf(front));
    const sent = request(
      url,
      { method: "PUT", headers: { ...bearer(front), "content-length": body.length, ...headers }, agent: false },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });

describe("content", () => {
  it("is nobody's without the token", async () => {
    const front = await start();
    expect(await put(front, BYTES)).toBe(204);
    expect((await ask(front, PATH)).status).toBe(401);
    expect(await put(front, BYTES, { authorization: "Bearer x" })).toBe(401);
    expect((await ask(front, PATH, { headers: { ...bearer(front), origin: "https://evil.example" } })).status).toBe(403);
  });

  it("is kept where it is what it is called, and given from any byte on", async () => {
    const front = await start();
    const headers = bearer(front);
    expect((await ask(front, PATH, { headers })).status).toBe(404);
    expect(await put(front, BYTES.subarray(1))).toBe(400);
    expect(await put(front, Buffer.alloc(BYTES.length))).toBe(400);
    expect((await ask(front, PATH, { headers })).status).toBe(404);
    expect(await put(front, BYTES)).toBe(204);
    expect(await put(front, BYTES)).toBe(204);
    for (const at of [0, 1, 99_999]) {
      const answer = await ask(front, PATH, { headers: { ...headers, ...(at > 0 && { range: `bytes=${at}-` }) } });
      expect([answer.status, answer.whole, answer.text]).toEqual([at === 0 ? 200 : 206, true, BYTES.toString().slice(at)]);
    }
    expect(await remoteOperations({ url: new URL(urlOf(front)), token: tokenOf(front) }).list({}, quiet)).toMatchObject({
      totals: { blobs: 1, bytes: BYTES.length },
    });
  });

  it.each([
    ["GET", "/api/v1/content/", {}, 400],
    ["GET", "/api/v1/content/sha256:abc", {}, 400],
    ["GET", "/api/v1/content/..%2f..%2fadmin.token", {}, 400],
    ["GET", PATH, { range: "bytes=100000-" }, 400],
    ["GET", PATH, { range: "bytes=-5" }, 400],
    ["GET", PATH, { range: "bytes=0-1,3-4" }, 400],
    ["DELETE", PATH, {}, 405],
    ["POST", PATH, {}, 405],
  ])("%s %s %j is %d", async (method, path, more, status) => {
    const front = await start();
    await put(front, BYTES);
    expect((await ask(front, path, { method, headers: { ...bearer(front), ...more } })).status).toBe(status);
  });

  it("that is torn off, or announced as more than there is room for, leaves nothing", async () => {
    const front = await start();
    const head = (length: string) =>
      `PUT ${PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${tokenOf(front)}\r\nContent-Length: ${length}\r\n\r\n`;
    await raw(front, Buffer.concat([Buffer.from(head("100000")), BYTES.subarray(0, 50_000)]), 300);
    expect(await raw(front, head("9007199254740991"))).toMatch(/^HTTP\/1\.1 507 /);
    expect(await raw(front, head("99999999999999999999"))).toMatch(/^HTTP\/1\.1 400 /);
    expect((await ask(front, PATH, { headers: bearer(front) })).status).toBe(404);
    expect(await put(front, BYTES)).toBe(204);
  });
});

describe("who sends more than there is room for", () => {
  it("hears of it in the middle, and of nothing else", async () => {
    const front = await start();
    let sent = 0;
    const endless = new Readable({
      read() {
        sent += 1;
        this.push(sent > 500 ? null : Buffer.alloc(64 * 1024));
      },
    });
    const content = remoteContent({ url: new URL(urlOf(front)), token: tokenOf(front) });
    await expect(content.put(DIGEST, 2 ** 52, endless, quiet.signal)).rejects.toMatchObject({ name: "AdminError", code: "FULL" });
    expect(endless.destroyed).toBe(true);
  });
});

/** Passes bytes on to the front end, and cuts each of the first connections after some. */
const breaking = async (
  front: Front,
  after: number,
  times: number,
): Promise<{ readonly url: URL; readonly cuts: () => number }> => {
  let cuts = 0;
  const port = Number(new URL(urlOf(front)).port);
  const server = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    let passed = 0;
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on("data", (piece: Buffer) => {
        passed += piece.length;
        if (passed > after && cuts < times) {
          cuts += 1;
          return end();
        }
        to.write(piece);
      });
      from.on("end", () => to.end());
      from.on("error", end);
      from.on("close", end);
    }
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  onTestFinished(() => void server.close());
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), cuts: () => cuts };
};

describe("a line that breaks", () => {
  it("keeps neither an import nor an export from its end", async () => {
    const front = await start();
    const folder = layout([["offline.test/acme/app:1", image("large", 2_000_000)]]);
    const line = await breaking(front, 700_000, 4);
    const server = { url: line.url, token: tokenOf(front) };
    const [operations, content] = [remoteOperations(server), remoteContent(server)];
    const bundle = await openBundle(folder);
    const report = await importBundle({ bundle, operations, content, ...quiet });
    expect(report.images).toMatchObject([{ outcome: "new" }]);
    expect(line.cuts()).toBeGreaterThan(0);
    const again = await breaking(front, 700_000, 4);
    const plan = await operations.exportPlan({ references: ["offline.test/acme/app"] }, quiet);
    const parts = { pieces: piecesOf(plan), content: remoteContent({ ...server, url: again.url }), ...quiet };
    const file = join(emptyFolder(), "bundle.tar");
    await writeToFile(file, parts);
    expect(again.cuts()).toBeGreaterThan(1);
    const written = await openBundle(file);
    expect((await importBundle({ bundle: written, operations, content, ...quiet })).sent.count).toBe(0);
    await Promise.all([bundle.close(), written.close()]);
  });
});

describe("a store without room", () => {
  it("says so, and goes on when there is some", async () => {
    const folder = emptyFolder();
    const open = async (maxSize: string) => {
      writeFileSync(join(folder, "layover.yaml"), JSON.stringify({ data: "./data", maxSize, sites: SITES }));
      return openAlone(await loadConfig({ file: join(folder, "layover.yaml"), env: {}, cwd: folder }), { isNew: true });
    };
    const bundle = await openBundle(layout([["images.test/acme/app:1", image("large", 200_000)]]));
    const small = await open("100kB");
    const { operations } = small;
    await expect(importBundle({ bundle, operations, content: operations.content, ...quiet })).rejects.toMatchObject({
      code: "FULL",
    });
    await expect(operations.show({ reference: "images.test/acme/app:1" }, quiet)).rejects.toMatchObject({ code: "NOT_HELD" });
    await small.close();
    const large = await open("10MB");
    const report = await importBundle({ bundle, operations: large.operations, content: large.operations.content, ...quiet });
    expect(report).toMatchObject({ images: [{ outcome: "new" }], held: { count: 2 } });
    await large.close();
    await bundle.close();
  });
});
