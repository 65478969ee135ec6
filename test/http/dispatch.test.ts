// The doors over real sockets, in front of a scripted site: what a client sees on the wire.
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect } from "node:net";
import { Readable } from "node:stream";
import { pino } from "pino";
import { describe, expect, it, onTestFinished } from "vitest";
import { isProbe } from "../../src/admin/pages.ts";
import { dispatcher, type SiteDoor } from "../../src/http/dispatch.ts";
import type { Exchange } from "../../src/http/exchange.ts";
import { openDoor } from "../../src/http/server.ts";
import { logger, silent } from "../../src/lib/log.ts";
import { OciError } from "../../src/oci/error.ts";
import type { Registry } from "../../src/oci/registry.ts";
import { siteTable } from "../../src/sites.ts";
import { stack } from "../registry/stack.ts";

const BYTES = Buffer.from("0123456789".repeat(100));
const VIA = "layover-test";

interface Asked {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly whole: boolean;
}

const serve = async (
  options: { door?: "https" | "http"; registry?: Partial<Registry>; clients?: (address: string) => boolean } = {},
) => {
  const world = stack();
  const seen: Exchange[] = [];
  const door: SiteDoor = {
    site: world.site,
    registry: { ...world.registry, ...options.registry },
    mirror: { ...world.registry, ...options.registry },
    ping: async ({ res }) => void res.writeHead(401, { "www-authenticate": ['Bearer realm="a"', "Basic"] }).end(),
    passThrough: async (exchange) => {
      seen.push(exchange);
      exchange.req.resume();
      exchange.res.writeHead(202).end("passed");
    },
  };
  const dispatch = dispatcher({
    sites: siteTable([world.site]),
    doorOf: () => door,
    isOwnName: (host) => host === "layover",
    ownPages: async ({ res }) => void res.end("own"),
    viaToken: VIA,
    log: silent,
  });
  const address = { host: "127.0.0.1", port: 0 };
  const opened = await openDoor({ door: options.door ?? "https", address, dispatch, clients: options.clients ?? (() => true) });
  onTestFinished(() => opened.drain(AbortSignal.timeout(0)));
  const { port } = opened.address;
  const ask = (
    path: string,
    { method = "GET", host = "registry.example", headers = {} as Record<string, string> } = {},
  ): Promise<Asked> =>
    new Promise((resolve, reject) => {
      const sent = httpRequest(
        { host: "127.0.0.1", port, path, method, headers: { host, ...headers }, agent: false },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on("data", (chunk: Buffer) => chunks.push(chunk));
          answer.on("error", () => undefined);
          answer.on("close", () =>
            resolve({
              status: answer.statusCode!,
              headers: answer.headers,
              body: Buffer.concat(chunks).toString(),
              whole: answer.complete,
            }),
          );
        },
      );
      sent.on("error", reject);
      sent.end();
    });
  return { ...world, ask, port, passed: seen, opened };
};

const codeOf = ({ body }: Asked): string => (JSON.parse(body) as { errors: { code: string }[] }).errors[0]!.code;

const withImage = async (options: Parameters<typeof serve>[0] = {}) => {
  const world = await serve(options);
  world.upstream.repo("acme/app", { isPublic: true });
  const layer = world.upstream.blob("acme/app", BYTES);
  const digest = world.upstream.manifest("acme/app", "v1", { layers: [{ digest: layer }] });
  return { ...world, layer, digest };
};

describe("reads", () => {
  it("answer manifests with type, digest, length and provenance, alike for GET and HEAD", async () => {
    const { ask, digest } = await withImage();
    const lengths = new Set<string | undefined>();
    for (const [method, verdict] of [
      ["GET", "MISS"],
      ["GET", "HIT"],
      ["HEAD", "REVALIDATED"],
    ] as const) {
      const answer = await ask("/v2/acme/app/manifests/v1", { method });
      expect(answer).toMatchObject({ status: 200, whole: true });
      expect(answer.headers).toMatchObject({
        "docker-content-digest": digest,
        "content-type": "application/vnd.oci.image.manifest.v1+json",
        "x-cache": verdict,
        etag: `"${digest}"`,
        "docker-distribution-api-version": "registry/2.0",
      });
      lengths.add(answer.headers["content-length"]);
      expect(answer.body.length).toBe(method === "HEAD" ? 0 : Number(answer.headers["content-length"]));
    }
    expect(lengths.size).toBe(1);
  });

  it("answer blobs whole and by range", async () => {
    const { ask, layer } = await withImage();
    const path = `/v2/acme/app/blobs/${layer}`;
    expect(await ask(path)).toMatchObject({
      status: 200,
      body: BYTES.toString(),
      headers: { "content-length": "1000", "accept-ranges": "bytes" },
    });
    expect(await ask(path, { method: "HEAD" })).toMatchObject({ status: 200, body: "", headers: { "content-length": "1000" } });
    const ranges: [string, number, string][] = [
      ["bytes=0-9", 206, "bytes 0-9/1000"],
      ["bytes=990-", 206, "bytes 990-999/1000"],
      ["bytes=-5", 206, "bytes 995-999/1000"],
      ["bytes=0-99999", 206, "bytes 0-999/1000"],
    ];
    for (const [range, status, contentRange] of ranges) {
      const answer = await ask(path, { headers: { range } });
      expect(answer).toMatchObject({ status, headers: { "content-range": contentRange } });
      expect(answer.body.length).toBe(Number(answer.headers["content-length"]));
    }
    for (const range of ["bytes=1000-", "bytes=500-0"]) {
      expect(codeOf(await ask(path, { headers: { range } }))).toBe("RANGE_INVALID");
    }
    expect(await ask(path, { headers: { range: "bytes=0-1,5-6" } })).toMatchObject({ status: 200 });
  });

  it("say `*` for the length of a blob that upstream gave a part of and no length", async () => {
    const descriptor = { mediaType: "application/octet-stream", digest: "sha256:0" as never, size: undefined };
    const range = { start: 10, end: 19 };
    const { ask, layer } = await withImage({
      registry: {
        getBlob: async () => ({
          descriptor,
          body: Readable.from([BYTES.subarray(10, 20)], { objectMode: false }),
          range,
          provenance: { source: "uncached" },
          metadata: {},
        }),
      },
    });
    const answer = await ask(`/v2/acme/app/blobs/${layer}`, { headers: { range: "bytes=10-19" } });
    expect(answer).toMatchObject({ status: 206, whole: true, body: "0123456789" });
    expect(answer.headers).toMatchObject({ "content-range": "bytes 10-19/*", "content-length": "10" });
  });

  it("cut the connection where a body breaks off, and never end it cleanly", async () => {
    const broken = Readable.from(
      (async function* () {
        yield BYTES.subarray(0, 500);
        throw new Error("torn");
      })(),
      { objectMode: false },
    );
    const descriptor = { mediaType: "application/octet-stream", digest: "sha256:0" as never, size: 1000 };
    const { ask, layer } = await withImage({
      registry: {
        getBlob: async () => ({ descriptor, body: broken, range: undefined, provenance: { source: "miss" }, metadata: {} }),
      },
    });
    const answer = await ask(`/v2/acme/app/blobs/${layer}`);
    expect(answer).toMatchObject({ status: 200, whole: false });
    expect(answer.body.length).toBeLessThan(1000);
  });

  it("mark what is stale, and pass on what upstream says besides", async () => {
    const { ask } = await serve({
      registry: {
        listTags: async () => ({
          mediaType: "application/json",
          bytes: Buffer.from("{}"),
          provenance: { source: "stale", age: 7 },
          metadata: {
            next: "/v2/acme/app/tags/list?last=b&n=2",
            warnings: ['299 - "old"'],
            rateLimit: { "ratelimit-limit": "100;w=21600" },
          },
        }),
      },
    });
    const { headers } = await ask("/v2/acme/app/tags/list?n=2");
    expect(headers).toMatchObject({
      age: "7",
      "x-cache": "STALE",
      link: '</v2/acme/app/tags/list?last=b&n=2>; rel="next"',
      "ratelimit-limit": "100;w=21600",
    });
    expect(headers["warning"]).toContain("110 ");
    expect(headers["warning"]).toContain("299 ");
  });
});

describe("errors", () => {
  it("are OCI's, with the right code", async () => {
    const { ask } = await serve();
    const cases: [string, string, number, string][] = [
      ["GET", "/v2/Bad/manifests/v1", 400, "NAME_INVALID"],
      ["GET", "/v2/acme/app/blobs/sha256:short", 400, "DIGEST_INVALID"],
      ["GET", "/v2/acme/app/manifests/-bad", 400, "MANIFEST_INVALID"],
      ["GET", "/v2/acme/app/manifests/v9", 404, "NAME_UNKNOWN"],
      ["LOCK", "/v2/acme/app/manifests/v1", 405, "UNSUPPORTED"],
    ];
    for (const [method, path, status, code] of cases) {
      const answer = await ask(path, { method });
      expect(answer.status, path).toBe(status);
      expect(codeOf(answer)).toBe(code);
    }
  });

  it("pass on what upstream said: its challenges in order, its words, Retry-After", async () => {
    const upstream = {
      status: 429,
      challenges: ['Bearer realm="x",scope="a:b:pull,push"', "Basic"],
      contentType: "text/plain",
      body: "toomanyrequests: quota",
      retryAfter: "30",
    };
    const { ask } = await serve({
      registry: { listTags: () => Promise.reject(new OciError("TOOMANYREQUESTS", "quota", { upstream })) },
    });
    const answer = await ask("/v2/acme/app/tags/list");
    expect(answer).toMatchObject({
      status: 429,
      body: upstream.body,
      headers: { "retry-after": "30", "content-type": "text/plain" },
    });
    expect(answer.headers["www-authenticate"]).toBe(upstream.challenges.join(", "));
  });

  it("of our own making tell a client nothing about the inside", async () => {
    const { ask } = await serve({ registry: { listTags: () => Promise.reject(new TypeError("secret path /etc/x")) } });
    const answer = await ask("/v2/acme/app/tags/list");
    expect(answer.status).toBe(500);
    expect(answer.body).not.toContain("secret");
  });
});

describe("whose request it is", () => {
  it.each([
    ["evil.example", 421],
    ["bad/host", 421],
    ["registry.example:443", 401],
    ["REGISTRY.example.", 401],
    ["a@registry.example", 421],
    ["layover", 200],
    ["127.0.0.1:8080", 200],
    ["[::1]:8080", 200],
  ])("Host %j → %i", async (host, status) => {
    const { ask } = await serve();
    expect((await ask("/v2/", { host })).status).toBe(status);
  });

  it("that comes back to us is refused", async () => {
    const { ask, upstream } = await serve();
    const answer = await ask("/v2/acme/app/tags/list", { headers: { via: `1.1 other, 1.1 ${VIA}` } });
    expect(answer.status).toBe(508);
    expect(upstream.asked).toEqual([]);
  });

  it("on the plain door is sent to TLS", async () => {
    const { ask } = await serve({ door: "http" });
    expect(await ask("/v2/x?y=z")).toMatchObject({ status: 308, headers: { location: "https://registry.example/v2/x?y=z" } });
  });

  it.each([
    ["PUT", "/v2/acme/app/manifests/v1"],
    ["POST", "/v2/acme/app/blobs/uploads/"],
    ["GET", "/v2/auth?service=x"],
    ["GET", "/token?scope=y"],
    ["GET", "/v2/_catalog"],
  ])("%s %s is passed through", async (method, path) => {
    const { ask, passed } = await serve();
    expect(await ask(path, { method })).toMatchObject({ status: 202, body: "passed" });
    expect(passed.length).toBe(1);
  });

  it("is nobody's whose address is not allowed", async () => {
    const { ask } = await serve({ clients: () => false });
    await expect(ask("/v2/")).rejects.toThrow();
  });
});

describe("hostile bytes", () => {
  const raw = (port: number, text: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = connect(port, "127.0.0.1", () => socket.write(text));
      let heard = "";
      socket.on("data", (chunk) => {
        heard += chunk.toString();
      });
      socket.on("error", () => undefined);
      socket.on("close", () => resolve(heard));
    });

  it.each([
    ["no HTTP at all", "\x16\x03\x01garbage\r\n\r\n", "400"],
    ["a huge header", `GET /v2/ HTTP/1.1\r\nHost: registry.example\r\nX: ${"a".repeat(64 * 1024)}\r\n\r\n`, "431"],
    [
      "both lengths",
      "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: registry.example\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "400",
    ],
  ])("%s", async (_what, text, status) => {
    const { port, ask } = await serve();
    expect(await raw(port, text)).toContain(`HTTP/1.1 ${status}`);
    expect((await ask("/v2/")).status).toBe(401);
  });
});

describe("the log", () => {
  it("is one line a request, of fixed fields, without a credential or a query", async () => {
    const lines: string[] = [];
    const write = process.stdout.write.bind(process.stdout);
    process.stdout.write = ((chunk: string) => lines.push(chunk) > 0) as typeof process.stdout.write;
    try {
      const log = logger({ level: "info", format: "text" });
      const world = stack();
      world.upstream.repo("acme/app", { isPublic: true });
      world.upstream.manifest("acme/app", "v1", {});
      const door: SiteDoor = {
        site: world.site,
        registry: world.registry,
        mirror: world.registry,
        ping: async ({ res }) => void res.end(),
        passThrough: async ({ res }) => void res.end(),
      };
      const dispatch = dispatcher({
        sites: siteTable([world.site]),
        doorOf: () => door,
        isOwnName: () => false,
        ownPages: async () => undefined,
        viaToken: VIA,
        log,
      });
      const opened = await openDoor({ door: "https", address: { host: "127.0.0.1", port: 0 }, dispatch, clients: () => true });
      const headers = { host: "registry.example", authorization: "Bearer s3cret", cookie: "c00kie" };
      const answer = await new Promise((resolve) =>
        httpRequest(
          { port: opened.address.port, host: "127.0.0.1", path: "/v2/acme/app/manifests/v1?token=qu3ry", headers, agent: false },
          (res) => res.resume().on("close", resolve),
        ).end(),
      ).then(() => opened.drain(AbortSignal.timeout(0)));
      expect(answer).toBeUndefined();
    } finally {
      process.stdout.write = write;
    }
    expect(lines.length).toBe(1);
    expect(lines[0]).toMatch(/MISS +200 +GET +registry\.example acme\/app:v1/);
    expect(lines.join("")).not.toMatch(/s3cret|c00kie|qu3ry/);
  });

  it("has a health check only when all is not well", async () => {
    const lines: string[] = [];
    const log = pino({ level: "info" }, { write: (line: string) => void lines.push(line) });
    let status = 200;
    const dispatch = dispatcher({
      sites: siteTable([]),
      doorOf: () => {
        throw new Error("there is no site");
      },
      isOwnName: () => true,
      ownPages: async ({ res, note, path }) => {
        note.isProbe = isProbe(path);
        res.writeHead(status).end();
      },
      viaToken: VIA,
      log,
    });
    const opened = await openDoor({ door: "http", address: { host: "127.0.0.1", port: 0 }, dispatch, clients: () => true });
    onTestFinished(() => opened.drain(AbortSignal.timeout(0)));
    const ask = (path: string) =>
      new Promise((resolve) =>
        httpRequest({ port: opened.address.port, host: "127.0.0.1", path, agent: false }, (res) =>
          res.resume().on("close", resolve),
        ).end(),
      );
    await ask("/readyz");
    await ask("/livez");
    await ask("/");
    status = 503;
    await ask("/readyz");
    await expect.poll(() => lines.map((line) => JSON.parse(line) as { path: string; status: number })).toHaveLength(2);
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { path: "/", status: 200 },
      { path: "/readyz", status: 503 },
    ]);
  });
});
