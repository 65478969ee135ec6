// Freshness, revalidation, and pushes that go by: no old digest ever comes back.
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import type { Tag } from "../../src/oci/reference.ts";
import { context, MINUTE, manifest, POLICY, seen, stack } from "./stack.ts";
import { writer } from "./writer.ts";

const APP = manifest("acme/app", "v1");
const PATH = "/v2/acme/app/manifests/v1";
const INDEX = "application/vnd.oci.image.index.v1+json";

/** Open to all, as a registry behind a challenge whose tokens show pull only. */
const world = async (changes: Parameters<typeof stack>[0] = {}) => {
  const made = stack(changes);
  made.upstream.repo("acme/app", { isPublic: true });
  await made.facts.putPing(made.site.host, { status: 401, challenges: ["Bearer"], at: 0 });
  const move = (n: number) => made.upstream.manifest("acme/app", "v1", { n });
  return {
    ...made,
    move,
    get: () => made.registry.getManifest(APP, context()),
    head: () => made.registry.statManifest(APP, context()),
  };
};

describe("a tag", () => {
  it("is fresh for a while, then confirmed by a HEAD, never a GET", async () => {
    const { upstream, get, move, pass } = await world();
    move(1);
    expect(await seen(get())).toBe("miss");
    expect(await seen(get())).toBe("hit");
    expect(upstream.asked.length).toBe(1);
    pass(MINUTE);
    expect(await seen(get())).toBe("revalidated");
    expect(upstream.asked.slice(1)).toEqual(["statManifest acme/app v1 -"]);
    expect(await seen(get())).toBe("hit");
  });

  it("moves when upstream moves it, and keeps its history", async () => {
    const { get, move, pass, facts, site } = await world();
    const first = move(1);
    await get();
    const second = move(2);
    expect((await get()).descriptor.digest).toBe(first);
    pass(MINUTE);
    expect((await get()).descriptor.digest).toBe(second);
    const history = await facts.tagHistory({ site: site.host, repo: APP.repo, tag: "v1" as Tag }, 10);
    expect(history.map(({ digest }) => digest)).toEqual([second, first]);
  });

  it("is asked for once by many", async () => {
    const { upstream, get, move, pass } = await world();
    move(1);
    await get();
    pass(MINUTE);
    let open: () => void = () => undefined;
    upstream.gate = new Promise((resolve) => {
      open = resolve;
    });
    const all = Array.from({ length: 10 }, () => seen(get()));
    await vi.waitFor(() => expect(upstream.count("statManifest")).toBe(1));
    open();
    expect(new Set(await Promise.all(all))).toEqual(new Set(["revalidated"]));
    expect(upstream.count("statManifest")).toBe(1);
  });

  it("learnt by HEAD moves when its manifest comes: what pulls by tag, then digest, pulls in an outage", async () => {
    const { registry, head, get, move, cut, upstream } = await world();
    const digest = move(1);
    await head();
    await registry.getManifest(manifest("acme/app", digest), context());
    expect(upstream.count("getManifest")).toBe(1);
    cut();
    expect(await seen(get())).toBe("hit");
    expect(await seen(head())).toBe("hit");
  });

  it.each([
    ["back", 1],
    ["on", 3],
  ])("that has moved %s since is not moved by what it was in between, when that comes at last", async (_where, n) => {
    const { registry, head, get, move, pass } = await world();
    const [first, between] = [move(1), move(2)];
    move(1);
    await get();
    move(2);
    pass(MINUTE);
    expect((await head()).descriptor.digest).toBe(between);
    const now = move(n);
    expect(now === first).toBe(n === 1);
    expect((await get()).descriptor.digest).toBe(now);
    await registry.getManifest(manifest("acme/app", between), context());
    expect((await get()).descriptor.digest).toBe(now);
  });

  it("is served stale while upstream is away, for staleIfError", async () => {
    const { get, move, pass, cut } = await world({
      publicFor: 1_000 * MINUTE,
      policy: { ...POLICY, staleIfError: 60 * MINUTE },
    });
    move(1);
    await get();
    cut();
    pass(2 * MINUTE);
    expect((await get()).provenance).toEqual({ source: "stale", age: 120 });
    pass(60 * MINUTE);
    expect(await seen(get())).toBe("UPSTREAM_UNREACHABLE");
  });

  it("waits for no upstream that is known to be away", async () => {
    const made = await world();
    made.move(1);
    await made.get();
    made.pass(2 * MINUTE);
    made.setUp(false);
    made.upstream.gate = new Promise(() => undefined);
    expect(await seen(made.get())).toBe("stale");
  });

  it("waits for a silent upstream no longer than its patience", { timeout: 10_000 }, async () => {
    const { get, move, pass, upstream } = await world();
    move(1);
    await get();
    pass(2 * MINUTE);
    upstream.gate = new Promise(() => undefined);
    const began = performance.now();
    expect(await seen(get())).toBe("stale");
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  it("is not fresh for ever when the clock is turned back", async () => {
    const { upstream, get, move, pass } = await world();
    move(1);
    await get();
    pass(-60 * MINUTE);
    move(2);
    upstream.asked.length = 0;
    await get();
    expect(upstream.asked.length).toBeGreaterThan(0);
  });

  it("whose manifest the client's Accept leaves out is upstream's to answer, uncached", async () => {
    const { registry, upstream } = await world();
    upstream.manifest("acme/app", "v1", { manifests: [] }, INDEX);
    await registry.getManifest(APP, context());
    const old = context(undefined, ["application/vnd.docker.distribution.manifest.v2+json"]);
    expect(await seen(registry.getManifest(APP, old))).toBe("uncached");
    expect(await seen(registry.getManifest(APP, context(undefined, [INDEX])))).toBe("hit");
  });
});

describe("HEAD by whom might push", () => {
  const jwt = (actions: readonly string[]) =>
    `Bearer x.${Buffer.from(JSON.stringify({ access: [{ type: "repository", name: "acme/app", actions }] })).toString("base64url")}.x`;

  it.each([
    ["an opaque token", "Bearer opaque", true],
    ["a login", "Basic eDp5", true],
    ["a token with push", jwt(["pull", "push"]), true],
    ["a token that shows pull only", jwt(["pull"]), false],
    ["a token that shows pull only, and regctl's", jwt(["pull"]), true, "regclient/regctl (v0.11.7)"],
    ["nobody, where the site challenges", undefined, false],
  ])("as %s", async (_who, credential, isAsked, agent?: string) => {
    const { registry, move, upstream } = await world();
    const digest = move(1);
    await registry.getManifest(APP, context(credential));
    upstream.repo("acme/app").manifests.clear();
    upstream.repo("acme/app").tags.clear();
    upstream.asked.length = 0;
    for (const query of [APP, manifest("acme/app", digest)]) {
      const answer = registry.statManifest(query, { ...context(credential), agent });
      expect(await seen(answer)).toBe(isAsked ? "MANIFEST_UNKNOWN" : "hit");
    }
  });

  it("at a site that takes pushes from anybody, and always of a blob, is upstream's to answer", async () => {
    const { registry, move, upstream, facts, site, get } = await world();
    await facts.putPing(site.host, { status: 200, challenges: [], at: 0 });
    move(1);
    await get();
    const layer = upstream.blob("acme/app", Buffer.from("layer"));
    const { body } = await registry.getBlob({ repo: APP.repo, digest: layer }, context());
    await body.toArray();
    const repo = upstream.repo("acme/app");
    repo.blobs.clear();
    repo.manifests.clear();
    expect(await seen(registry.statBlob({ repo: APP.repo, digest: layer }, context()))).toBe("BLOB_UNKNOWN");
    expect(await seen(registry.statManifest(APP, context()))).toBe("MANIFEST_UNKNOWN");
  });
});

describe("a push that goes by", () => {
  it("makes the next pull ask, at once", async () => {
    const made = await world();
    const { get, move } = made;
    move(1);
    await get();
    let pushed = "";
    await writer(made).write("PUT", PATH, {
      async send() {
        pushed = move(2);
        return { status: 201 };
      },
    });
    expect((await get()).descriptor.digest).toBe(pushed);
  });

  it("that fails takes nothing from an outage", async () => {
    const made = await world();
    const { get, move, cut } = made;
    const held = move(1);
    await get();
    cut();
    const failing = writer(made).write("PUT", PATH, { send: () => Promise.reject(new Error("refused")) });
    await expect(failing).rejects.toThrow("refused");
    expect((await get()).descriptor.digest).toBe(held);
  });

  it("that upstream refuses leaves no trace of tags that nobody knows", async () => {
    const made = await world();
    const { facts, site } = made;
    await writer(made).write("PUT", PATH, { send: async () => ({ status: 401 }) });
    expect(await facts.tag({ site: site.host, repo: APP.repo, tag: "v1" as Tag })).toBeUndefined();
  });

  /** Whatever is asked while a push is under way, what is served after it is never what was before it. */
  it("is never undone by a question that was asked before it", { timeout: 60_000 }, async () => {
    const turns = async (count: number) => {
      for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    };
    const asker = fc.record({ begins: fc.nat(12), head: fc.boolean(), stale: fc.boolean() });
    const schedule = fc.record({
      begins: fc.nat(8),
      takes: fc.nat(8),
      back: fc.nat(8),
      answers: fc.nat(20),
      known: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(asker, { minLength: 1, maxLength: 6 }), schedule, async (askers, push) => {
        const made = await world();
        const { registry, get, head, move, upstream, pass } = made;
        move(1);
        if (push.known) await get();
        pass(MINUTE);
        let pushed = "";
        upstream.gate = turns(push.answers);
        const pushing = turns(push.begins).then(() =>
          writer(made).write("PUT", PATH, {
            async send() {
              await turns(push.takes);
              pushed = move(2);
              await turns(push.back);
              return { status: 201 };
            },
          }),
        );
        const asking = askers.map(async ({ begins, head: isHead }) => {
          await turns(begins);
          const { descriptor } = await (isHead ? head() : get());
          if (isHead) await registry.getManifest(manifest("acme/app", descriptor.digest), context());
        });
        await Promise.all([pushing, ...asking]);
        expect((await get()).descriptor.digest).toBe(pushed);
        expect((await head()).descriptor.digest).toBe(pushed);
      }),
      { numRuns: 150 },
    );
  });
});
