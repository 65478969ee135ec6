// Pushes over real sockets: in whatever parts a blob comes, it is held once upstream has taken it; and what a push or a delete changes is so
// at once for everybody.
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { header, hold, status } from "../faults/behaviours.ts";
import { digestOf, OCI_MANIFEST } from "../faults/content.ts";
import { type FaultUpstream, faultUpstream } from "../faults/upstream.ts";
import { type Answer, Front, HOST, startFront } from "../front.ts";

const REPO = "acme/app";
const UPLOADS = `/v2/${REPO}/blobs/uploads/`;

const world = async (site: object = {}) => {
  const upstream = await faultUpstream();
  upstream.content.repo(REPO);
  const front = await startFront(upstream, site);
  const bytes = randomBytes(300_000);
  return { upstream, front, bytes, digest: digestOf(bytes) };
};

type World = Awaited<ReturnType<typeof world>>;

const send = (
  front: Front,
  method: string,
  path: string,
  body?: Buffer,
  headers: Record<string, string> = {},
): Promise<Answer> => {
  const length = body === undefined || headers["transfer-encoding"] ? {} : { "content-length": String(body.length) };
  return front.ask(path, { method, ...(body === undefined ? {} : { body }), headers: { ...length, ...headers } });
};

const begin = async (front: Front, query = ""): Promise<string> => {
  const begun = await send(front, "POST", `${UPLOADS}${query}`, Buffer.alloc(0));
  expect(begun.status).toBe(202);
  return begun.headers.location!;
};

/** As Docker writes it: parsed, and put together again. */
const withDigest = (location: string, digest: string): string => {
  const url = new URL(location, `https://${HOST}`);
  url.searchParams.set("digest", digest);
  return `${url.pathname}${url.search}`;
};

const patch = async (front: Front, location: string, body: Buffer, headers: Record<string, string> = {}): Promise<string> => {
  const patched = await send(front, "PATCH", location, body, headers);
  expect(patched.status).toBe(202);
  return patched.headers.location!;
};

const range = (start: number, end: number) => ({ "content-range": `${start}-${end - 1}` });

type Way = (front: Front, bytes: Buffer, digest: string) => Promise<Answer>;
const WAYS: Record<string, Way> = {
  "POST, then PUT with all of it": async (front, bytes, digest) =>
    send(front, "PUT", withDigest(await begin(front), digest), bytes),
  "POST, PATCH in chunks, PUT": async (front, bytes, digest) => {
    const next = await patch(front, await begin(front), bytes, { "transfer-encoding": "chunked" });
    return send(front, "PUT", withDigest(next, digest), Buffer.alloc(0));
  },
  "POST, three parts with Content-Range, PUT": async (front, bytes, digest) => {
    let at = await begin(front);
    for (const [start, end] of [
      [0, 100_000],
      [100_000, 150_000],
      [150_000, bytes.length],
    ] as const)
      at = await patch(front, at, bytes.subarray(start, end), range(start, end));
    return send(front, "PUT", withDigest(at, digest), Buffer.alloc(0));
  },
  "POST, PATCH, and the last part with the PUT": async (front, bytes, digest) => {
    const next = await patch(front, await begin(front), bytes.subarray(0, 200_000));
    return send(front, "PUT", withDigest(next, digest), bytes.subarray(200_000), range(200_000, bytes.length));
  },
  "POST with all of it": (front, bytes, digest) => send(front, "POST", `${UPLOADS}?digest=${digest}`, bytes),
};

const fileOf = (front: Front, digest: string): string => {
  const [algorithm = "", hex = ""] = digest.split(":");
  return join(front.folder, "data", "blobs", algorithm, hex.slice(0, 2), hex);
};

const until = (isSo: () => boolean): Promise<boolean> => vi.waitUntil(isSo, { timeout: 15_000, interval: 5 });

/** What is kept is so a moment after the client has its answer; a pull then brings it without a byte of upstream's. */
const expectHeld = async (
  { front, upstream }: Pick<World, "front" | "upstream">,
  digest: string,
  bytes: Buffer,
): Promise<void> => {
  await until(() => existsSync(fileOf(front, digest)));
  upstream.clear();
  const answer = await front.ask(`/v2/${REPO}/blobs/${digest}`);
  expect(answer.status).toBe(200);
  expect(answer.body.equals(bytes)).toBe(true);
  expect(upstream.count(({ method, path }) => method === "GET" && path.includes("/blobs/"))).toBe(0);
};

/** Neither it nor anything of it. */
const expectGone = async (front: Front, digest: string): Promise<void> => {
  await until(() => readdirSync(join(front.folder, "data", "spool")).length === 0);
  expect(existsSync(fileOf(front, digest))).toBe(false);
};

describe("a blob that is pushed", () => {
  it.each(Object.entries(WAYS))("by %s is held", async (_name, way) => {
    const here = await world();
    const { upstream, front, bytes, digest } = here;
    expect((await way(front, bytes, digest)).status).toBe(201);
    expect(upstream.content.repo(REPO).blobs.get(digest)?.equals(bytes)).toBe(true);
    await expectHeld(here, digest, bytes);
  });

  it("under sha512 is held as well", async () => {
    const here = await world();
    const { front, bytes } = here;
    const digest = digestOf(bytes, "sha512");
    const next = await patch(front, await begin(front, "?digest-algorithm=sha512"), bytes);
    expect((await send(front, "PUT", withDigest(next, digest), Buffer.alloc(0))).status).toBe(201);
    await expectHeld(here, digest, bytes);
  });

  it("of nothing is held", async () => {
    const here = await world();
    const digest = digestOf(Buffer.alloc(0));
    expect((await send(here.front, "PUT", withDigest(await begin(here.front), digest), Buffer.alloc(0))).status).toBe(201);
    await expectHeld(here, digest, Buffer.alloc(0));
  });

  it("at a path and a host that upstream makes up for it is held, but not what goes elsewhere", async () => {
    const here = await world();
    const { upstream, front, bytes, digest } = here;
    const real = await begin(front);
    // an upload of another kind of path, on an alias of the same site
    upstream.fault(
      ({ method, path }) => method === "POST" && path === UPLOADS,
      header("location", `https://${HOST}${real}&x=%20`),
      1,
    );
    const location = new URL(await begin(front));
    expect((await send(front, "PUT", withDigest(location.href, digest), bytes)).status).toBe(201);
    await expectHeld(here, digest, bytes);
    const elsewhere = `${UPLOADS}elsewhere`;
    upstream.fault(({ method }) => method === "POST", header("location", `https://store.example${elsewhere}`), 1);
    await begin(front);
    const other = randomBytes(1_000);
    expect((await send(front, "PUT", withDigest(elsewhere, digestOf(other)), other)).status).toBe(201);
    await expectGone(front, digestOf(other));
  });

  it("is linked to the repository that it was pushed to, and to no other", async () => {
    const here = await world();
    const { upstream, front, bytes, digest } = here;
    await WAYS["POST, then PUT with all of it"]!(front, bytes, digest);
    await expectHeld(here, digest, bytes);
    upstream.content.repo("eve/app");
    expect((await front.ask(`/v2/eve/app/blobs/${digest}`)).status).toBe(404);
    const mounted = await send(front, "POST", `/v2/eve/app/blobs/uploads/?mount=${digest}&from=${REPO}`, Buffer.alloc(0));
    expect(mounted.status).toBe(201);
    upstream.clear();
    expect((await front.ask(`/v2/eve/app/blobs/${digest}`)).body.equals(bytes)).toBe(true);
    expect(upstream.count(({ method, path }) => method === "GET" && path.includes("/blobs/"))).toBe(0);
  });

  it.each([
    // a registry may read a form before the query, the last of two values, or an upload of something else in place of the mount
    ["takes something else", { location: `/v2/eve/app/blobs/${digestOf(Buffer.from("eve's own"))}` }],
    ["calls it something else", { "docker-content-digest": digestOf(Buffer.from("eve's own")) }],
    ["does not say what it takes", {}],
  ])("is not linked by a mount where upstream %s", async (_what, headers) => {
    const here = await world();
    const { upstream, front, bytes, digest } = here;
    await WAYS["POST, then PUT with all of it"]!(front, bytes, digest);
    await expectHeld(here, digest, bytes);
    upstream.content.repo("eve/app");
    upstream.fault(({ method }) => method === "POST", status(201, headers, ""), 1);
    const mount = `/v2/eve/app/blobs/uploads/?mount=${digest}&from=eve/other`;
    expect((await send(front, "POST", mount, Buffer.from("eve's own"))).status).toBe(201);
    expect((await front.ask(`/v2/eve/app/blobs/${digest}`)).status).toBe(404);
  });

  it("is linked by a mount whose Location alone says what was taken", async () => {
    const here = await world();
    const { upstream, front, bytes, digest } = here;
    await WAYS["POST, then PUT with all of it"]!(front, bytes, digest);
    await expectHeld(here, digest, bytes);
    upstream.content.repo("ann/app");
    const location = `https://${HOST}/v2/ann/app/blobs/${digest.replace(":", "%3A")}?x=1`;
    upstream.fault(({ method }) => method === "POST", status(201, { location }, ""), 1);
    await send(front, "POST", `/v2/ann/app/blobs/uploads/?mount=${digest}&from=${REPO}`, Buffer.alloc(0));
    // a mount shows no right to read
    expect((await front.ask("/v2/ann/app/tags/list")).status).toBe(200);
    upstream.clear();
    expect((await front.ask(`/v2/ann/app/blobs/${digest}`)).body.equals(bytes)).toBe(true);
    expect(upstream.count(({ path }) => path.includes("/blobs/"))).toBe(0);
  });

  it("of which a mount becomes an upload is held", async () => {
    const here = await world();
    const { front, bytes, digest } = here;
    const location = await begin(front, `?mount=${digest}&from=nobody/knows`);
    expect((await send(front, "PUT", withDigest(location, digest), bytes)).status).toBe(201);
    await expectHeld(here, digest, bytes);
  });
});

describe("what is no whole, strictly appended, verified push", () => {
  const NOT_KEPT: Record<string, (here: World) => Promise<unknown>> = {
    "upstream refuses it": async ({ front, upstream, bytes, digest }) => {
      upstream.fault(({ method }) => method === "PUT", status(403), 1);
      expect((await send(front, "PUT", withDigest(await begin(front), digest), bytes)).status).toBe(403);
    },
    "upstream fails": async ({ front, upstream, bytes, digest }) => {
      upstream.fault(({ method }) => method === "PUT", status(500), 1);
      expect((await send(front, "PUT", withDigest(await begin(front), digest), bytes)).status).toBe(500);
    },
    "upstream calls it something else": async ({ front, upstream, bytes, digest }) => {
      upstream.fault(({ method }) => method === "PUT", header("docker-content-digest", digestOf(Buffer.from("else"))), 1);
      expect((await send(front, "PUT", withDigest(await begin(front), digest), bytes)).status).toBe(201);
    },
    "the digest is of something else, and upstream does not look": async ({ front, upstream, bytes }) => {
      upstream.fault(({ method }) => method === "PUT", status(201, {}, ""), 1);
      expect((await send(front, "PUT", withDigest(await begin(front), SECRET), bytes)).status).toBe(201);
    },
    "Content-Range leaves a hole": async ({ front, bytes, digest }) => {
      let at = await patch(front, await begin(front), bytes.subarray(0, 100_000), range(0, 100_000));
      at = await patch(front, at, bytes.subarray(100_000), range(100_001, bytes.length + 1));
      await send(front, "PUT", withDigest(at, digest), Buffer.alloc(0));
    },
    "Content-Range is not as long as the part": async ({ front, bytes, digest }) => {
      const at = await patch(front, await begin(front), bytes, range(0, bytes.length - 1));
      await send(front, "PUT", withDigest(at, digest), Buffer.alloc(0));
    },
    "a part is sent again": async ({ front, upstream, bytes, digest }) => {
      const begun = await begin(front);
      upstream.fault(({ method }) => method === "PATCH", status(503), 1);
      expect((await send(front, "PATCH", begun, bytes.subarray(0, 1_000))).status).toBe(503);
      await send(front, "PUT", withDigest(await patch(front, begun, bytes), digest), Buffer.alloc(0));
    },
    "upstream has taken less than went by": async ({ front, upstream, bytes, digest }) => {
      upstream.fault(({ method }) => method === "PATCH", header("range", "0-99"), 1);
      const at = await patch(front, await begin(front), bytes);
      await send(front, "PUT", withDigest(at, digest), Buffer.alloc(0));
    },
    "two go on with it at once": async ({ front, upstream, bytes, digest }) => {
      const begun = await begin(front);
      const gate = Promise.withResolvers<void>();
      upstream.fault(({ method }) => method === "PATCH", hold(gate.promise), 1);
      const first = send(front, "PATCH", begun, bytes);
      await until(() => upstream.count(({ method }) => method === "PATCH") === 1);
      await send(front, "PATCH", begun, Buffer.from("a second client"));
      gate.resolve();
      await send(front, "PUT", withDigest((await first).headers.location!, digest), Buffer.alloc(0));
    },
    "somebody else writes to it, and is refused": async ({ front, upstream, bytes, digest }) => {
      const at = await patch(front, await begin(front), bytes.subarray(0, 100_000));
      upstream.fault(({ method }) => method === "PATCH", status(403), 1);
      const authorization = "Basic ZXZlOmV2ZQ==";
      expect((await send(front, "PATCH", at, Buffer.from("poison"), { authorization })).status).toBe(403);
      await send(front, "PUT", withDigest(at, digest), bytes.subarray(100_000));
    },
    "it is cancelled": async ({ front, bytes }) => {
      const at = await patch(front, await begin(front), bytes);
      expect((await send(front, "DELETE", at)).status).toBe(202);
    },
    "the client leaves": async ({ front, upstream }) => {
      const begun = await begin(front);
      const client = await front.dial(HOST);
      client.on("error", () => undefined);
      client.write(`PATCH ${begun} HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 1000\r\n\r\nabc`);
      await until(() => upstream.count(({ method }) => method === "PATCH") === 1);
      client.destroy();
    },
    "a request with all of it announces no length": ({ front, bytes, digest }) =>
      send(front, "POST", `${UPLOADS}?digest=${digest}`, bytes, { "transfer-encoding": "chunked" }),
    "a request with all of it is refused": async ({ front, upstream, bytes, digest }) => {
      upstream.fault(({ method }) => method === "POST", status(401), 1);
      expect((await send(front, "POST", `${UPLOADS}?digest=${digest}`, bytes)).status).toBe(401);
    },
    "a request with all of it begins an upload after all": async ({ front, upstream, bytes, digest }) => {
      upstream.fault(({ method }) => method === "POST", status(202, { location: `${UPLOADS}x` }, ""), 1);
      expect((await send(front, "POST", `${UPLOADS}?digest=${digest}`, bytes)).status).toBe(202);
    },
  };
  const SECRET = digestOf(Buffer.from("a secret"));

  it.each(Object.entries(NOT_KEPT))("is not held: %s", async (_what, act) => {
    const here = await world();
    await act(here);
    await expectGone(here.front, here.digest);
    await expectGone(here.front, SECRET);
  });

  it("takes nothing from the next one", async () => {
    const here = await world();
    for (const act of Object.values(NOT_KEPT)) {
      here.upstream.clear();
      await act(here);
      here.upstream.clearFaults();
    }
    const { front, bytes, digest } = here;
    expect((await WAYS["POST, PATCH in chunks, PUT"]!(front, bytes, digest)).status).toBe(201);
    await expectHeld(here, digest, bytes);
  });

  it("goes on where upstream has refused before a byte went by", async () => {
    const here = await world();
    const { front, upstream, bytes, digest } = here;
    const at = await patch(front, await begin(front), bytes);
    upstream.fault(({ method }) => method === "PATCH", status(401), 1);
    expect((await send(front, "PATCH", at, Buffer.alloc(0))).status).toBe(401);
    expect((await send(front, "PUT", withDigest(at, digest), Buffer.alloc(0))).status).toBe(201);
    await expectHeld(here, digest, bytes);
  });
});

const TAG = `/v2/${REPO}/manifests/v1`;
const manifestOf = (n: number) =>
  Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, layers: [], annotations: { n: String(n) } }));
const put = (front: Front, path: string, body: Buffer, type = OCI_MANIFEST) =>
  send(front, "PUT", path, body, { "content-type": type });

/** Its generation is settled a moment after the client has its answer: until then upstream is asked. */
const expectFresh = (front: Front, upstream: FaultUpstream, path: string, bytes: Buffer) =>
  vi.waitFor(
    async () => {
      upstream.clear();
      const answer = await front.ask(path);
      expect(answer.body.equals(bytes)).toBe(true);
      expect(upstream.log.map(({ method }) => method).filter((method) => method !== "HEAD")).toEqual([]);
      expect(answer.headers["x-cache"]).toBe("HIT");
    },
    { timeout: 15_000, interval: 20 },
  );

describe("a manifest that is pushed", () => {
  it("is what its tag is for everybody, at once, and the next one too", async () => {
    const { front, upstream } = await world();
    for (const n of [1, 2, 3]) {
      expect((await put(front, TAG, manifestOf(n))).status).toBe(201);
      // never the one before, from the first moment on
      expect((await front.ask(TAG)).body.equals(manifestOf(n))).toBe(true);
      await expectFresh(front, upstream, TAG, manifestOf(n));
    }
  });

  it("outlives upstream: it has been fetched by nobody", async () => {
    const { front, upstream } = await world();
    await put(front, TAG, manifestOf(1));
    expect((await front.ask(TAG, { method: "HEAD" })).status).toBe(200);
    await expectFresh(front, upstream, TAG, manifestOf(1));
    await upstream.stop();
    expect((await front.ask(TAG)).body.equals(manifestOf(1))).toBe(true);
  });

  it("by digest with tags is what all of them are", async () => {
    const { front, upstream } = await world();
    await put(front, TAG, manifestOf(1));
    await front.ask(TAG);
    const digest = digestOf(manifestOf(2));
    for (const tag of ["v1", "v2"]) upstream.content.moveTag(REPO, tag, digest);
    upstream.fault(({ method }) => method === "PUT", header("oci-tag", "v1, v2"), 1);
    expect((await put(front, `/v2/${REPO}/manifests/${digest}?tag=v1&tag=v2`, manifestOf(2))).status).toBe(201);
    await expectFresh(front, upstream, TAG, manifestOf(2));
    await expectFresh(front, upstream, `/v2/${REPO}/manifests/v2`, manifestOf(2));
  });

  it("by digest with tags that upstream does not say it has moved moves none of them, and forgets none", async () => {
    const { front, upstream } = await world();
    await put(front, TAG, manifestOf(1));
    await front.ask(TAG);
    const digest = digestOf(manifestOf(2));
    // an upstream that knows no such parameter takes the manifest all the same
    upstream.fault(({ method }) => method === "PUT", header("oci-tag", "v2"), 1);
    expect((await put(front, `/v2/${REPO}/manifests/${digest}?tag=v1`, manifestOf(2))).status).toBe(201);
    await until(() => existsSync(fileOf(front, digest)));
    await upstream.stop();
    await front.stop();
    await front.start();
    expect((await front.ask(TAG)).body.equals(manifestOf(1))).toBe(true);
  });

  it.each([
    ["whose type is none that is known", "application/json"],
    ["whose type is another than it says", "application/vnd.oci.image.index.v1+json"],
    ["of Docker's schema 1", "application/vnd.docker.distribution.manifest.v1+prettyjws"],
  ])("%s is passed on and not kept", async (_what, type) => {
    const { front } = await world();
    expect((await put(front, TAG, manifestOf(1), type)).status).toBe(201);
    await expectGone(front, digestOf(manifestOf(1)));
  });

  it("that upstream calls something else is not kept, and its tag is asked for", async () => {
    const { front, upstream } = await world();
    await put(front, TAG, manifestOf(1));
    await front.ask(TAG);
    upstream.fault(({ method }) => method === "PUT", header("docker-content-digest", digestOf(Buffer.from("else"))), 1);
    expect((await put(front, TAG, manifestOf(2))).status).toBe(201);
    await expectGone(front, digestOf(manifestOf(2)));
    expect((await front.ask(TAG)).body.equals(manifestOf(2))).toBe(true);
  });

  it("of gigantic size is passed on and not kept", { timeout: 30_000 }, async () => {
    const { front } = await world();
    const body = Buffer.from(`{"mediaType":"${OCI_MANIFEST}","x":"${"x".repeat(9 * 1024 * 1024)}"}`);
    expect((await put(front, TAG, body)).status).toBe(201);
    const chunked = { "transfer-encoding": "chunked", "content-type": OCI_MANIFEST };
    expect((await send(front, "PUT", TAG, body, chunked)).status).toBe(201);
    await expectGone(front, digestOf(body));
  });

  it("does not move a tag that upstream refuses it", async () => {
    const { front, upstream } = await world();
    await put(front, TAG, manifestOf(1));
    await expectFresh(front, upstream, TAG, manifestOf(1));
    upstream.fault(({ method }) => method === "PUT", status(403), 1);
    expect((await put(front, TAG, manifestOf(2))).status).toBe(403);
    // this upstream has done it all the same
    upstream.content.moveTag(REPO, "v1", digestOf(manifestOf(1)));
    expect((await front.ask(TAG)).body.equals(manifestOf(1))).toBe(true);
  });
});

describe("a delete through us", () => {
  const pushed = async () => {
    const here = await world();
    const { front, upstream } = here;
    for (const tag of ["v1", "v2"]) await put(front, `/v2/${REPO}/manifests/${tag}`, manifestOf(1));
    for (const tag of ["v1", "v2"]) await expectFresh(front, upstream, `/v2/${REPO}/manifests/${tag}`, manifestOf(1));
    await front.ask(`/v2/${REPO}/tags/list`);
    return { ...here, digest: digestOf(manifestOf(1)) };
  };
  const gone = async (front: Front, path: string) => {
    await vi.waitFor(async () => expect((await front.ask(path)).status).toBe(404), { timeout: 15_000, interval: 20 });
  };

  it("of a tag forgets the tag, and not the other one", async () => {
    const { front, upstream } = await pushed();
    expect((await send(front, "DELETE", TAG)).status).toBe(202);
    await gone(front, TAG);
    expect((await front.ask(`/v2/${REPO}/manifests/v2`)).status).toBe(200);
    await upstream.stop();
    expect((await front.ask(TAG)).status).not.toBe(200);
    expect((await front.ask(`/v2/${REPO}/tags/list`)).status).toBe(503);
  });

  it("of a manifest forgets it and the tags that stand for it", async () => {
    const { front, upstream, digest } = await pushed();
    expect((await send(front, "DELETE", `/v2/${REPO}/manifests/${digest}`)).status).toBe(202);
    for (const name of [digest, "v1", "v2"]) await gone(front, `/v2/${REPO}/manifests/${name}`);
    await upstream.stop();
    for (const name of [digest, "v1", "v2"]) expect((await front.ask(`/v2/${REPO}/manifests/${name}`)).status).not.toBe(200);
  });

  it("of a blob forgets it", async () => {
    const here = await world();
    const { front, bytes, digest } = here;
    await WAYS["POST with all of it"]!(front, bytes, digest);
    await expectHeld(here, digest, bytes);
    expect((await send(front, "DELETE", `/v2/${REPO}/blobs/${digest}`)).status).toBe(202);
    await gone(front, `/v2/${REPO}/blobs/${digest}`);
  });

  it("that upstream refuses forgets nothing", async () => {
    const { front, upstream } = await pushed();
    upstream.fault(({ method }) => method === "DELETE", status(405));
    expect((await send(front, "DELETE", TAG)).status).toBe(405);
    await upstream.stop();
    expect((await front.ask(TAG)).status).toBe(200);
    expect((await front.ask(`/v2/${REPO}/tags/list`)).status).toBe(200);
  });
});

describe("of a site that is read-only", () => {
  it.each([
    ["POST", UPLOADS],
    ["POST", `${UPLOADS}?mount=${digestOf(Buffer.from("x"))}&from=acme/other`],
    ["POST", `${UPLOADS}?digest=${digestOf(Buffer.from("x"))}`],
    ["PATCH", `${UPLOADS}1`],
    ["PUT", `${UPLOADS}1?digest=${digestOf(Buffer.from("x"))}`],
    ["DELETE", `${UPLOADS}1`],
    ["PUT", TAG],
    ["DELETE", TAG],
    ["DELETE", `/v2/${REPO}/manifests/${digestOf(Buffer.from("x"))}`],
    ["DELETE", `/v2/${REPO}/blobs/${digestOf(Buffer.from("x"))}`],
    ["POST", "/anything/else"],
  ])("%s %s is refused here, and says why", async (method, path) => {
    const { front, upstream } = await world({ readOnly: true });
    const answer = await send(front, method, path, Buffer.from("x"));
    expect(answer.status).toBe(405);
    const { errors } = JSON.parse(answer.body.toString()) as { errors: { code: string; message: string }[] };
    expect(errors[0]).toMatchObject({ code: "UNSUPPORTED", message: expect.stringContaining("read-only") as string });
    expect(upstream.log).toEqual([]);
  });
});

describe("what a site denies", () => {
  const rules = [{ match: "acme/app:secret*", deny: true }];
  it.each([
    ["a tag", "PUT", `/v2/${REPO}/manifests/secret-1`],
    ["a further tag", "PUT", `/v2/${REPO}/manifests/${digestOf(manifestOf(1))}?tag=fine&tag=secret-1`],
    ["a repository", "POST", "/v2/other/app/blobs/uploads/"],
    ["a repository to mount from", "POST", `${UPLOADS}?mount=${digestOf(manifestOf(1))}&from=other/app`],
    ["a delete", "DELETE", `/v2/${REPO}/manifests/secret-1`],
  ])("is not written: %s", async (_what, method, path) => {
    const { front, upstream } = await world({ rules, allow: ["acme/**"] });
    expect((await send(front, method, path, manifestOf(1), { "content-type": OCI_MANIFEST })).status).toBe(403);
    expect(upstream.log).toEqual([]);
  });
});

describe("what a hosted site denies", () => {
  it("is not written under a further tag either", async () => {
    const rules = [{ match: "acme/app:secret*", deny: true }];
    const front = new Front("http://127.0.0.1:9", {}, { [HOST]: { kind: "local", access: "anonymous", rules } });
    await front.start();
    const path = `/v2/${REPO}/manifests/${digestOf(manifestOf(1))}`;
    expect((await put(front, `${path}?tag=fine&tag=secret-1`, manifestOf(1))).status).toBe(403);
    expect((await put(front, `${path}?tag=fine`, manifestOf(1))).status).toBe(201);
  });
});

describe("on a site that is read with our own credentials", () => {
  it("what a client pushes with its own is kept, and given to others only once ours may read it", async () => {
    const upstream = await faultUpstream({
      auth: { kind: "basic", users: { layover: "pw", ann: "pw" }, owners: { "ann/app": "ann", "our/app": "layover" } },
    });
    const front = await startFront(upstream, { access: "shared", credentials: { username: "layover", password: "pw" } });
    const bytes = randomBytes(10_000);
    const digest = digestOf(bytes);
    const authorization = `Basic ${Buffer.from("ann:pw").toString("base64")}`;
    const path = `/v2/ann/app/blobs/uploads/?digest=${digest}`;
    expect((await send(front, "POST", path, bytes, { authorization })).status).toBe(201);
    await until(() => existsSync(fileOf(front, digest)));
    expect((await front.ask(`/v2/ann/app/blobs/${digest}`)).status).not.toBe(200);
  });
});
