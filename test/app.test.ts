// The whole front end on the wire, between a client with nothing but the CA and an upstream that misbehaves.
import { describe, expect, it } from "vitest";
import {
  cutAt,
  header,
  html,
  ignoreRange,
  noDigestHeader,
  redirect,
  status,
  wrongBytes,
  wrongContentRange,
  wrongLength,
} from "./faults/behaviours.ts";
import { digestOf } from "./faults/content.ts";
import { faultUpstream } from "./faults/upstream.ts";
import { Front, freePort, HOST, startFront } from "./front.ts";

const basic = (name: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`,
});
const BLOBS = /\/blobs\//;
const SIZE = 300_000;

/** As Docker does: by tag, then each part. */
const pull = async (front: Front, repo: string, tag: string, headers: Record<string, string> = {}): Promise<number[]> => {
  const manifest = await front.ask(`/v2/${repo}/manifests/${tag}`, { headers });
  if (manifest.status !== 200) return [manifest.status];
  const { config, layers } = JSON.parse(manifest.body.toString()) as { config: { digest: string }; layers: { digest: string }[] };
  const statuses = [manifest.status];
  for (const { digest } of [config, ...layers]) {
    const blob = await front.ask(`/v2/${repo}/blobs/${digest}`, { headers });
    statuses.push(blob.status === 200 && digestOf(blob.body) !== digest ? -1 : blob.status);
  }
  return statuses;
};

describe("a pull", () => {
  it("is cold once, and warm after a restart, without a question", async () => {
    const upstream = await faultUpstream();
    upstream.content.seed({ repo: "acme/app", tag: "v1", layers: [SIZE, SIZE] });
    const front = await startFront(upstream);
    expect(await pull(front, "acme/app", "v1")).toEqual([200, 200, 200, 200]);
    expect(upstream.count(BLOBS)).toBe(3);
    upstream.clear();
    expect(await pull(front, "acme/app", "v1")).toEqual([200, 200, 200, 200]);
    await front.stop();
    await front.start();
    expect(await pull(front, "acme/app", "v1")).toEqual([200, 200, 200, 200]);
    expect(upstream.count(BLOBS)).toBe(0);
  });

  it("outlives upstream, by tag and by digest", async () => {
    const upstream = await faultUpstream();
    const { top } = upstream.content.seed({ repo: "acme/app", tag: "v1", layers: SIZE });
    const front = await startFront(upstream, { freshFor: "0s" });
    await front.ask("/v2/");
    await pull(front, "acme/app", "v1");
    await upstream.stop();
    expect((await front.ask("/v2/")).status).toBe(200);
    expect(await pull(front, "acme/app", "v1")).toEqual([200, 200, 200]);
    const stale = await front.ask("/v2/acme/app/manifests/v1");
    expect(stale.headers).toMatchObject({ "x-cache": "STALE", warning: expect.stringContaining("110") as string });
    expect((await front.ask(`/v2/acme/app/manifests/${top.digest}`)).body).toEqual(top.bytes);
    await upstream.start();
    await expect
      .poll(async () => (await front.ask("/v2/acme/app/manifests/v1")).headers["x-cache"], { timeout: 10_000 })
      .toBe("REVALIDATED");
  });

  it("follows upstream's redirects itself, and leaves the credential behind", async () => {
    const upstream = await faultUpstream({ auth: { kind: "basic", users: { ann: "pw" }, owners: { "ann/app": "ann" } } });
    upstream.content.seed({ repo: "ann/app", tag: "v1", layers: SIZE });
    const front = await startFront(upstream);
    upstream.fault(BLOBS, redirect());
    expect(await pull(front, "ann/app", "v1", basic("ann", "pw"))).toEqual([200, 200, 200]);
  });

  it("takes sha512 as well", async () => {
    const upstream = await faultUpstream();
    const bytes = Buffer.from("a blob under a longer digest");
    const digest = digestOf(bytes, "sha512");
    upstream.content.repo("acme/app").blobs.set(digest, bytes);
    const front = await startFront(upstream);
    for (const verdict of ["MISS", "HIT"]) {
      expect(await front.ask(`/v2/acme/app/blobs/${digest}`)).toMatchObject({
        status: 200,
        body: bytes,
        headers: { "x-cache": verdict },
      });
    }
  });
});

describe("behind a token server", () => {
  const world = async () => {
    const upstream = await faultUpstream({
      auth: { kind: "bearer", users: { ann: "pw", bob: "pw" }, owners: { "ann/app": "ann", "bob/app": "bob" } },
    });
    for (const repo of ["open/app", "ann/app", "bob/app"]) upstream.content.seed({ repo, tag: "v1", layers: SIZE });
    const front = await startFront(upstream);
    /** As clients do: the challenge that came through us leads to the realm, where they go themselves. */
    const login = async (repo: string, who?: string): Promise<Record<string, string>> => {
      const { headers } = await front.ask("/v2/");
      const challenge = headers["www-authenticate"] ?? "";
      const realm = /realm="([^"]+)"/.exec(challenge)![1]!;
      const service = /service="([^"]+)"/.exec(challenge)![1]!;
      const url = `${realm}?service=${service}&scope=repository:${repo}:pull`;
      const answer = await fetch(url, { headers: who === undefined ? {} : basic(who, "pw") });
      const { token } = (await answer.json()) as { token?: string };
      return token === undefined ? {} : { authorization: `Bearer ${token}` };
    };
    return { upstream, front, login };
  };

  it("each reads his own, and nobody the other's, cached or not", async () => {
    const { front, login } = await world();
    for (let round = 0; round < 2; round += 1) {
      for (const [who, own, other] of [
        ["ann", "ann/app", "bob/app"],
        ["bob", "bob/app", "ann/app"],
      ] as const) {
        expect(await pull(front, own, "v1", await login(own, who))).toEqual([200, 200, 200]);
        expect((await pull(front, other, "v1", await login(other, who)))[0]).toBeGreaterThanOrEqual(401);
        expect((await pull(front, other, "v1", await login(own, who)))[0]).toBeGreaterThanOrEqual(401);
      }
      for (const repo of ["ann/app", "bob/app"]) {
        expect(await pull(front, repo, "v1")).toEqual([401]);
        expect((await pull(front, repo, "v1", await login(repo)))[0]).toBeGreaterThanOrEqual(401);
      }
    }
  });

  it("a public image needs no question after the first, though every client brings another token", async () => {
    const { upstream, front, login } = await world();
    expect(await pull(front, "open/app", "v1", await login("open/app"))).toEqual([200, 200, 200]);
    await expect.poll(async () => (await front.ask("/v2/open/app/manifests/v1")).status).toBe(200);
    upstream.clear();
    const headers = await login("open/app");
    upstream.clear();
    expect(await pull(front, "open/app", "v1", headers)).toEqual([200, 200, 200]);
    expect(upstream.log.map(({ path }) => path)).toEqual([]);
  });

  it("with everything gone, a client without a credential still has what is public, and nothing else", async () => {
    const { upstream, front, login } = await world();
    await pull(front, "open/app", "v1", await login("open/app"));
    await pull(front, "ann/app", "v1", await login("ann/app", "ann"));
    await expect.poll(async () => (await front.ask("/v2/open/app/manifests/v1")).status).toBe(200);
    await upstream.stop();
    expect((await front.ask("/v2/")).status).toBe(200);
    expect(await pull(front, "open/app", "v1")).toEqual([200, 200, 200]);
    expect(await pull(front, "ann/app", "v1")).toEqual([503]);
    expect((await front.ask("/v2/", { headers: { authorization: "Bearer unknown" } })).status).toBe(503);
  });

  it("the challenge reaches the client as upstream wrote it", async () => {
    const { upstream, front } = await world();
    const direct = await fetch(new URL("/v2/", upstream.url));
    const through = await front.ask("/v2/");
    expect(through.status).toBe(401);
    expect(through.headers["www-authenticate"]).toBe(direct.headers.get("www-authenticate"));
  });
});

describe("an upstream that misbehaves", () => {
  const world = async () => {
    const upstream = await faultUpstream();
    // larger than what lies in buffers when a connection breaks
    const { layers, top } = upstream.content.seed({ repo: "acme/app", tag: "v1", layers: 4_000_000 });
    const path = `/v2/acme/app/blobs/${layers[0]!.digest}`;
    return { upstream, front: await startFront(upstream), path, bytes: layers[0]!.bytes, top };
  };

  it("tears a blob: it goes on from about there", async () => {
    const { upstream, front, path, bytes } = await world();
    upstream.fault(BLOBS, cutAt(3_000_000), 1);
    const answer = await front.ask(path);
    expect(answer).toMatchObject({ status: 200, whole: true });
    expect(answer.body.equals(bytes)).toBe(true);
    // what had arrived and was still in buffers is lost with the connection
    expect(upstream.bytes(BLOBS)).toBeLessThan(bytes.length + 1_000_000);
  });

  it("begins anew where it was asked to go on: what is there already is passed over", async () => {
    const { upstream, front, path, bytes } = await world();
    upstream.fault(BLOBS, cutAt(3_000_000), 1);
    upstream.fault(BLOBS, ignoreRange);
    const answer = await front.ask(path);
    expect(answer).toMatchObject({ status: 200, whole: true });
    expect(answer.body.equals(bytes)).toBe(true);
  });

  it.each([
    ["sends other bytes", [wrongBytes]],
    ["promises another length", [wrongLength(-10)]],
    ["goes on from somewhere else", [cutAt(3_000_000), wrongContentRange()]],
  ])("%s: the client's connection is cut, nothing is kept, and the next pull heals", async (_what, behaviours) => {
    const { upstream, front, path, bytes } = await world();
    for (const behaviour of behaviours) upstream.fault(BLOBS, behaviour, 2);
    const spoilt = await front.ask(path).catch(() => undefined);
    expect(spoilt?.status === 200 && spoilt.whole).toBe(false);
    upstream.clearFaults();
    const healed = await front.ask(path);
    expect(healed).toMatchObject({ status: 200, whole: true });
    expect(healed.body.equals(bytes)).toBe(true);
  });

  it.each([
    ["HTML", html, 502],
    ["500", status(500), 500],
    ["gzip that nobody asked for", header("content-encoding", "gzip"), 502],
  ])("answers %s: so says the client's answer, and nothing is kept", async (_what, behaviour, code) => {
    const { upstream, front, path, top } = await world();
    upstream.fault(/\/v2\/acme/, behaviour);
    expect((await front.ask(path)).status).toBe(code);
    expect((await front.ask("/v2/acme/app/manifests/v1")).status).toBe(code);
    upstream.clearFaults();
    expect((await front.ask(path)).status).toBe(200);
    expect((await front.ask("/v2/acme/app/manifests/v1")).body).toEqual(top.bytes);
  });

  it.each([
    ["lies about a manifest's digest", header("docker-content-digest", `sha256:${"0".repeat(64)}`)],
    ["sends another manifest than its digest says", wrongBytes],
  ])("%s: it is not believed", async (_what, behaviour) => {
    const { upstream, front, top } = await world();
    upstream.fault(/\/manifests\//, behaviour);
    expect((await front.ask("/v2/acme/app/manifests/v1")).status).toBe(502);
    upstream.clearFaults();
    expect((await front.ask("/v2/acme/app/manifests/v1")).body).toEqual(top.bytes);
  });

  it("says no digest: it is computed, and clients are told", async () => {
    const { upstream, front, top } = await world();
    upstream.fault(/\/manifests\//, noDigestHeader);
    for (const method of ["HEAD", "GET"]) {
      const { headers } = await front.ask("/v2/acme/app/manifests/v1", { method });
      expect(headers).toMatchObject({ "docker-content-digest": top.digest, "content-length": String(top.bytes.length) });
    }
  });
});

describe("a push", () => {
  it("is streamed through, and the next pull has it", async () => {
    const upstream = await faultUpstream();
    upstream.content.seed({ repo: "acme/app", tag: "v1", layers: SIZE });
    const front = await startFront(upstream);
    await pull(front, "acme/app", "v1");
    const layer = Buffer.alloc(SIZE, "new");
    const begun = await front.ask("/v2/acme/app/blobs/uploads/", { method: "POST" });
    expect(begun.status).toBe(202);
    const location = new URL(begun.headers.location!, `https://${HOST}`);
    location.searchParams.set("digest", digestOf(layer));
    const put = await front.ask(`${location.pathname}${location.search}`, {
      method: "PUT",
      body: layer,
      headers: { "content-length": String(SIZE) },
    });
    expect(put.status).toBe(201);
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        layers: [{ digest: digestOf(layer) }],
      }),
    );
    const tagged = await front.ask("/v2/acme/app/manifests/v1", {
      method: "PUT",
      body: manifest,
      headers: { "content-type": "application/vnd.oci.image.manifest.v1+json", "content-length": String(manifest.length) },
    });
    expect(tagged.status).toBe(201);
    expect(upstream.content.repo("acme/app").blobs.get(digestOf(layer))).toEqual(layer);
    expect((await front.ask("/v2/acme/app/manifests/v1")).body).toEqual(manifest);
    expect((await front.ask(`/v2/acme/app/blobs/${digestOf(layer)}`)).body).toEqual(layer);
  });

  it("is never skipped because of what is held", async () => {
    const upstream = await faultUpstream();
    const { layers, top } = upstream.content.seed({ repo: "acme/app", tag: "v1", layers: SIZE });
    const front = await startFront(upstream);
    await pull(front, "acme/app", "v1");
    upstream.content.repos.clear();
    for (const path of [`blobs/${layers[0]!.digest}`, `manifests/${top.digest}`, "manifests/v1"]) {
      expect((await front.ask(`/v2/acme/app/${path}`, { method: "HEAD" })).status).toBe(404);
    }
  });

  it("of a read-only site is refused here", async () => {
    const upstream = await faultUpstream();
    const front = await startFront(upstream, { readOnly: true });
    expect((await front.ask("/v2/acme/app/blobs/uploads/", { method: "POST" })).status).toBe(405);
    expect(upstream.log).toEqual([]);
  });

  it("while upstream is away says so", async () => {
    const upstream = await faultUpstream();
    const front = await startFront(upstream);
    await upstream.stop();
    const answer = await front.ask("/v2/acme/app/manifests/v1", {
      method: "PUT",
      body: Buffer.from("{}"),
      headers: { "content-length": "2" },
    });
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.body.toString())).toMatchObject({ errors: [{ code: "UPSTREAM_UNREACHABLE" }] });
  });
});

describe("what is passed through", () => {
  it("breaks off for the client where it breaks off upstream", async () => {
    const upstream = await faultUpstream();
    const front = await startFront(upstream);
    upstream.fault(/_catalog/, status(200, {}, "x".repeat(100_000)));
    upstream.fault(/_catalog/, cutAt(50_000));
    const answer = await front.ask("/v2/_catalog").catch(() => undefined);
    expect(answer?.whole ?? false).toBe(false);
    upstream.clearFaults();
    expect((await front.ask("/v2/_catalog")).status).toBe(200);
  });

  it("leaves hop-by-hop headers behind, and brings ours", async () => {
    const upstream = await faultUpstream();
    const front = await startFront(upstream);
    await front.ask("/v2/_catalog", {
      headers: { connection: "close, x-private", "x-private": "1", "proxy-authorization": "Basic eDp5" },
    });
    const [seen] = upstream.requests(/_catalog/);
    expect(seen?.headers).toMatchObject({ via: expect.stringContaining("layover-") as string });
    expect(seen?.headers).not.toHaveProperty("x-private");
    expect(seen?.headers).not.toHaveProperty("proxy-authorization");
  });
});

describe("names", () => {
  it("of the connection and of the request must agree", async () => {
    const front = await startFront(await faultUpstream());
    expect((await front.ask("/v2/", { servername: "ghcr.io", host: HOST })).status).toBe(421);
    await expect(front.ask("/v2/", { servername: "evil.example", host: HOST })).rejects.toThrow(/unrecognized|alert/i);
    expect((await front.ask("/v2/", { servername: HOST, host: "evil.example" })).status).toBe(421);
  });
});

describe("an upstream that is ourselves", () => {
  it("is refused, for reads and for writes, and nothing goes round", async () => {
    const front = new Front("http://127.0.0.1:9", {});
    const port = await freePort();
    await front.start({
      listen: { dns: [], https: ["127.0.0.1:0"], http: [`127.0.0.1:${port}`] },
      upstream: `http://127.0.0.1:${port}`,
    });
    for (const [method, path] of [
      ["GET", "/v2/acme/app/manifests/v1"],
      ["POST", "/v2/acme/app/blobs/uploads/"],
    ] as const) {
      const answer = await front.ask(path, { method });
      expect(answer.status).toBe(508);
      expect(JSON.parse(answer.body.toString())).toMatchObject({ errors: [{ code: "LOOP_DETECTED" }] });
    }
  });
});

describe("its own pages", () => {
  it("tell health, the CA and the way in", async () => {
    const front = await startFront(await faultUpstream());
    expect((await front.page("/livez")).status).toBe(200);
    expect(JSON.parse((await front.page("/readyz")).body.toString())).toEqual({ ready: true, notes: [] });
    expect((await front.page("/ca.crt")).body.toString()).toContain("BEGIN CERTIFICATE");
    expect((await front.page("/setup/docker")).body.toString()).toMatch(/^#!\/bin\/sh/);
    expect((await front.page("/setup")).body.toString()).toMatch(/^ {2}curl -fsS http:\S+\/setup\/containerd +containerd$/m);
    expect((await front.page("/setup/podman.txt")).body.toString()).toMatch(/^podman, buildah.*\nLayover answers for /);
    for (const path of [
      "/setup/nothing",
      "/setup/service",
      "/setup/docker.sh",
      "/setup/docker.txt?door=__proto__",
      "/setup/constructor",
      "/setup/podman.txt?door=no",
    ])
      expect((await front.page(path)).status).toBe(404);
    expect((await front.page("/", "10.9.8.7:80")).body.toString()).toMatch(/^CA certificate {3}http:\/\/10\.9\.8\.7[:/]/m);
    expect((await front.page("/v2/")).status).toBe(200);
    expect((await front.page("/v2x")).status).toBe(404);
    expect((await front.page("/v2/x", HOST)).status).toBe(308);
  });
});
