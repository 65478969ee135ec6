// A tag that somebody holds, over real sockets: whatever upstream says, whatever is pushed or deleted, it goes on being what it is held as,
// for whoever may read it, until it is released.
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseDigest } from "../../src/oci/digest.ts";
import type { Repository, Tag } from "../../src/oci/reference.ts";
import type { FactStore, Hold } from "../../src/store/facts.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import { status } from "../faults/behaviours.ts";
import { OCI_MANIFEST } from "../faults/content.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { Front, HOST, startFront } from "../front.ts";
import { bytesOf, type Client, manifestOf, pushImage, putManifest } from "../pushing.ts";
import { MINUTE } from "../registry/stack.ts";
import { SITE, siteDoor } from "./site-door.ts";

const REPO = "ann/app";
const keyOf = (site: string, tag: string, repo = REPO) => ({ site, repo: repo as Repository, tag: tag as Tag });
const hold = (facts: FactStore, site: string, tag: string, digest: string, kind: Hold["kind"] = "rollback", repo = REPO) =>
  facts.holdTag(keyOf(site, tag, repo), { digest: parseDigest(digest), at: Date.now(), kind });

/** `v1` was `old`, is `now`, and is held as `old`; all of both is held. Nothing is fresh for longer than a moment. */
const world = async (settings: object = {}) => {
  const owners = { [REPO]: "ann" };
  const upstream = await faultUpstream({ auth: { kind: "basic", users: { ann: "pw", bob: "pw" }, owners } });
  const door = await siteDoor(upstream, { freshFor: "0s", onGone: "drop", ...settings });
  const old = upstream.content.seed({ repo: REPO, tag: "v1", index: true });
  const as = (user: string) => ({ authorization: `Basic ${Buffer.from(`${user}:pw`).toString("base64")}` });
  const ask = (path: string, method = "GET", user = "ann", body?: Buffer) =>
    door.ask(`/v2/${REPO}/${path}`, {
      method,
      headers: {
        ...(user === "" ? {} : as(user)),
        ...(body === undefined ? {} : { "content-type": OCI_MANIFEST, "content-length": String(body.length) }),
      },
      ...(body === undefined ? {} : { body }),
    });
  /** As clients do: the tag, the digests it leads to, its blobs. */
  const pull = async (image: typeof old, tag = "v1", user = "ann") => {
    const answers = [await ask(`manifests/${tag}`, "HEAD", user)];
    for (const { digest } of [image.top, image.manifest]) answers.push(await ask(`manifests/${digest}`, "GET", user));
    for (const { digest } of [image.config, ...image.layers]) answers.push(await ask(`blobs/${digest}`, "GET", user));
    return { digest: answers[0]!.headers["docker-content-digest"], codes: answers.map(({ status: code }) => code) };
  };
  const whole = (image: typeof old) => ({ digest: image.top.digest, codes: [200, 200, 200, 200, 200] });
  expect(await pull(old)).toEqual(whole(old));
  const now = upstream.content.seed({ repo: REPO, tag: "v1", index: true });
  expect(await pull(now)).toEqual(whole(now));
  await hold(door.facts, SITE, "v1", old.top.digest);
  upstream.clear();
  return { upstream, door, old, now, ask, pull, whole };
};

describe("a held tag", () => {
  it("is not asked for, however old it is, and is what it was again", async () => {
    const { upstream, old, pull, whole } = await world();
    expect(await pull(old)).toEqual(whole(old));
    expect(upstream.requests(/manifests\/v1/)).toEqual([]);
  });

  it("costs no question, and is for nobody who may not read it", async () => {
    const { upstream, door, old, ask, pull, whole } = await world();
    expect((await ask("manifests/v1", "GET", "bob")).status).toBe(403);
    expect((await ask("manifests/v1", "GET", "")).status).toBe(401);
    door.grant(REPO, `Basic ${Buffer.from("ann:pw").toString("base64")}`, 6 * MINUTE, 5 * MINUTE);
    upstream.clear();
    expect(await pull(old)).toEqual(whole(old));
    // the right is asked for by what it stands for, never by its name
    expect(upstream.requests(/manifests/).map(({ method, path }) => `${method} ${path}`)).toEqual([
      `HEAD /v2/${REPO}/manifests/${old.top.digest}`,
    ]);
  });

  it("stays when upstream knows neither it nor what it stands for, and when upstream is gone", async () => {
    const { upstream, door, old, pull, whole } = await world();
    const ann = `Basic ${Buffer.from("ann:pw").toString("base64")}`;
    const repo = upstream.content.repo(REPO);
    for (const part of [repo.tags, repo.manifests, repo.blobs]) part.clear();
    // each question anew, though upstream says 404 to all and `onGone` is `drop`
    for (let round = 0; round < 2; round += 1) {
      door.grant(REPO, ann, 6 * MINUTE, 5 * MINUTE);
      expect(await pull(old)).toEqual(whole(old));
    }
    upstream.fault(/./, status(503));
    expect(await pull(old)).toEqual(whole(old));
  });

  it("that is a name of ours alone is read by the right to what it stands for", async () => {
    const { upstream, door, old, ask, pull, whole } = await world();
    await hold(door.facts, SITE, "v1.20261124", old.top.digest, "backup");
    expect(await pull(old, "v1.20261124")).toEqual(whole(old));
    expect((await ask("manifests/v1.20261124", "GET", "bob")).status).toBe(403);
    expect((await ask("manifests/v1.20261124", "GET", "")).status).toBe(401);
    expect(upstream.requests(/20261124/)).toEqual([]);
  });

  it("is not moved by a push through, nor taken by a delete through", async () => {
    const upstream = await faultUpstream();
    const front = await startFront(upstream, { freshFor: "0s" });
    const ask = (path: string, method = "GET", body?: Buffer) =>
      front.ask(`/v2/${REPO}/${path}`, {
        method,
        ...(body === undefined ? {} : { body, headers: { "content-type": OCI_MANIFEST, "content-length": String(body.length) } }),
      });
    const old = upstream.content.seed({ repo: REPO, tag: "v1", index: true });
    const paths = [old.top, old.manifest].map(({ digest }) => `manifests/${digest}`);
    for (const { digest } of [old.config, ...old.layers]) paths.push(`blobs/${digest}`);
    const pull = async (): Promise<void> => {
      expect((await ask("manifests/v1")).headers["docker-content-digest"]).toBe(old.top.digest);
      for (const path of paths) expect([path, (await ask(path)).status]).toEqual([path, 200]);
    };
    await pull();
    const now = upstream.content.seed({ repo: REPO, tag: "v1", index: true });
    expect((await ask("manifests/v1")).headers["docker-content-digest"]).toBe(now.top.digest);
    await front.stop();
    const facts = openSqlite(join(front.folder, "data/facts.sqlite"));
    await hold(facts, HOST, "v1", old.top.digest);
    await facts.close();
    await front.start();
    const pushed = upstream.content.seed({ repo: REPO }).manifest;
    expect((await ask("manifests/v1", "PUT", pushed.bytes)).status).toBe(201);
    await pull();
    expect((await ask("manifests/v1", "DELETE")).status).toBe(202);
    for (const path of paths) expect((await ask(path, "DELETE")).status).toBe(202);
    await pull();
    // what nothing holds goes with its delete
    expect((await ask(`manifests/${now.top.digest}`, "DELETE")).status).toBe(202);
    expect((await ask(`manifests/${now.top.digest}`)).status).toBe(404);
  });

  it("is told to who might push, as to everybody", async () => {
    const { upstream, old, ask } = await world();
    const answer = await ask("manifests/v1", "HEAD");
    expect(answer.headers["docker-content-digest"]).toBe(old.top.digest);
    expect(upstream.requests(/manifests\/v1/)).toEqual([]);
  });

  it("is the same for many at once, while it is pushed to", async () => {
    const { upstream, old, ask } = await world();
    const pushed = upstream.content.seed({ repo: REPO }).manifest;
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, n) =>
        n % 10 === 5 ? ask("manifests/v1", "PUT", "ann", pushed.bytes) : ask("manifests/v1"),
      ),
    );
    const read = answers.filter(({ status: code }) => code === 200);
    expect(read).toHaveLength(27);
    for (const { headers } of read) expect(headers["docker-content-digest"]).toBe(old.top.digest);
  });

  it("is asked for by a refresh, which says that it stays", async () => {
    const { door, old, now } = await world();
    const credential = `Basic ${Buffer.from("ann:pw").toString("base64")}` as never;
    const refreshed = await door.site.care.refresh(REPO as Repository, "v1" as Tag, {
      credential,
      signal: AbortSignal.timeout(5_000),
    });
    expect(refreshed).toMatchObject({
      before: old.top.digest,
      after: old.top.digest,
      upstream: now.top.digest,
      pinned: true,
    });
    expect(await door.site.care.explain(REPO as Repository, "v1" as Tag)).toMatchObject({
      held: { digest: old.top.digest, hold: { kind: "rollback" } },
    });
  });

  it("moves with upstream again once it is released", async () => {
    const { door, old, now, pull, whole } = await world();
    expect(await pull(old)).toEqual(whole(old));
    expect(await door.facts.releaseTag(keyOf(SITE, "v1"))).toMatchObject({ kind: "rollback" });
    expect(await pull(now)).toEqual(whole(now));
    expect((await door.facts.tagHistory(keyOf(SITE, "v1"), 2)).map(({ reason }) => reason)).toEqual(["pull", "rollback"]);
  });

  it("is held after a restart", async () => {
    const upstream = await faultUpstream();
    const { top } = upstream.content.seed({ repo: REPO, tag: "v1" });
    const front = await startFront(upstream, { freshFor: "0s" });
    const get = async () => (await front.ask(`/v2/${REPO}/manifests/v1`)).headers["docker-content-digest"];
    expect(await get()).toBe(top.digest);
    const moved = upstream.content.seed({ repo: REPO, tag: "v1" });
    expect(await get()).toBe(moved.top.digest);
    await front.stop();
    const facts = openSqlite(join(front.folder, "data/facts.sqlite"));
    await hold(facts, HOST, "v1", top.digest, "pin");
    await facts.close();
    for (let round = 0; round < 2; round += 1) {
      await front.start();
      expect(await get()).toBe(top.digest);
      await front.stop();
    }
  });
});

describe("a held tag of a hosted site", () => {
  const LOCAL = "images.example";

  it("refuses pushes and deletes, of what it needs as well, and says how it is released", async () => {
    const front = new Front("http://127.0.0.1:9", {}, { [LOCAL]: { kind: "local", access: "anonymous" } });
    await front.start();
    const ask: Client = (method, path, more = {}) => front.ask(path, { method, host: LOCAL, ...more });
    const digest = await pushImage(ask, "acme/app", "v1", 1);
    await pushImage(ask, "acme/app", "v1", 2);
    await front.stop();
    const facts = openSqlite(join(front.folder, "data/facts.sqlite"));
    await hold(facts, LOCAL, "v1", digest, "rollback", "acme/app");
    await facts.close();
    await front.start();
    const other = manifestOf(bytesOf(20, 2), [bytesOf(5_000, 2)]);
    const refused = await putManifest(ask, "acme/app", "v1", other);
    expect([refused.status, refused.body.toString()]).toEqual([
      403,
      expect.stringMatching(
        /"DENIED".*acme\/app:v1 is held by a rollback since 20.*`layover tags unpin images\.example\/acme\/app:v1`/s,
      ),
    ]);
    const { config } = JSON.parse((await ask("GET", `/v2/acme/app/manifests/${digest}`)).body.toString()) as {
      config: { digest: string };
    };
    const taken = ["manifests/v1", `manifests/${digest}`, `blobs/${config.digest}`];
    for (const path of taken) expect((await ask("DELETE", `/v2/acme/app/${path}`)).status).toBe(403);
    expect((await ask("HEAD", "/v2/acme/app/manifests/v1")).headers["docker-content-digest"]).toBe(digest);
    expect((await ask("GET", `/v2/acme/app/blobs/${config.digest}`)).status).toBe(200);
    // what it is already may be said again
    const bytes = (await ask("GET", `/v2/acme/app/manifests/${digest}`)).body;
    expect((await putManifest(ask, "acme/app", "v1", bytes)).status).toBe(201);
  });
});
