// Freshness by rule: stale while it is revalidated, pinned, gone.
import { describe, expect, it, vi } from "vitest";
import { OciError } from "../../src/oci/error.ts";
import type { Context } from "../../src/oci/registry.ts";
import type { Rule } from "../../src/sites.ts";
import { blob, context, HOUR, MINUTE, manifest, readBlob, seen, stack } from "./stack.ts";
import { writer } from "./writer.ts";

const APP = manifest("acme/app", "v1");
const ANN = "Basic ann";

const world = (
  rule: Partial<Rule>,
  options: Parameters<ReturnType<typeof stack>["upstream"]["repo"]>[1] = { isPublic: true },
) => {
  const made = stack({ rules: [{ match: "acme/app:*", ...rule }], publicFor: 1_000 * HOUR, grantFor: 1_000 * HOUR });
  const { upstream, registry } = made;
  upstream.repo("acme/app", options);
  return {
    ...made,
    move: (n: number) => upstream.manifest("acme/app", "v1", { n }),
    get: (ctx: Context = context()) => registry.getManifest(APP, ctx),
    push: (send: () => Promise<{ status: number }>) => writer(made).write("PUT", "/v2/acme/app/manifests/v1", { send }),
    /** What goes on behind the clients' backs has ended. */
    settled: () => new Promise((resolve) => setTimeout(resolve, 20)),
  };
};

describe("staleWhileRevalidate", () => {
  it("serves what is held at once, and asks behind it by one HEAD", async () => {
    const { upstream, get, move, pass } = world({ staleWhileRevalidate: HOUR });
    move(1);
    await get();
    pass(2 * MINUTE);
    upstream.asked.length = 0;
    let open: () => void = () => undefined;
    upstream.gate = new Promise((resolve) => {
      open = resolve;
    });
    for (let n = 0; n < 20; n += 1) expect((await get()).provenance).toEqual({ source: "stale", age: 120 });
    await vi.waitFor(() => expect(upstream.asked).toEqual(["statManifest acme/app v1 -"]));
    open();
    await vi.waitFor(async () => expect((await get()).provenance).toEqual({ source: "hit", age: 0 }));
    expect(upstream.asked.length).toBe(1);
  });

  it("fetches what has moved behind it: the next client has it", async () => {
    const { upstream, get, move, pass } = world({ staleWhileRevalidate: HOUR });
    const first = move(1);
    await get();
    const second = move(2);
    pass(2 * MINUTE);
    upstream.asked.length = 0;
    expect((await get()).descriptor.digest).toBe(first);
    await vi.waitFor(async () => expect((await get()).descriptor.digest).toBe(second));
    expect(upstream.asked).toEqual(["statManifest acme/app v1 -", `getManifest acme/app ${second} -`]);
  });

  it("ends: then upstream is waited for", async () => {
    const { get, move, pass, upstream } = world({ staleWhileRevalidate: HOUR });
    move(1);
    await get();
    const second = move(2);
    pass(HOUR + MINUTE);
    expect((await get()).descriptor.digest).toBe(second);
    expect(upstream.count("statManifest")).toBe(1);
  });

  it("asks with the client's own credential, and only for whom has a live right", async () => {
    const { upstream, get, move, pass } = world({ staleWhileRevalidate: HOUR }, { readers: [ANN] });
    move(1);
    await get(context(ANN));
    pass(2 * MINUTE);
    upstream.asked.length = 0;
    expect(await seen(get(context("Basic bob")))).toBe("UNAUTHORIZED");
    expect(await seen(get())).toBe("UNAUTHORIZED");
    expect(upstream.asked.every((line) => !line.endsWith(ANN))).toBe(true);
    upstream.asked.length = 0;
    expect(await seen(get(context(ANN)))).toBe("stale");
    await vi.waitFor(() => expect(upstream.asked).toEqual([`statManifest acme/app v1 ${ANN}`]));
  });

  it("takes a refusal for what it is: the next client asks for itself", async () => {
    const { upstream, get, move, pass, settled } = world({ staleWhileRevalidate: HOUR }, { readers: [ANN, "Basic eve"] });
    move(1);
    await get(context(ANN));
    await get(context("Basic eve"));
    pass(2 * MINUTE);
    upstream.repo("acme/app").readers.delete(ANN);
    let open: () => void = () => undefined;
    upstream.gate = new Promise((resolve) => {
      open = resolve;
    });
    expect(await seen(get(context(ANN)))).toBe("stale");
    open();
    await settled();
    expect(await seen(get(context(ANN)))).toBe("UNAUTHORIZED");
    expect(await seen(get(context("Basic eve")))).toBe("revalidated");
  });

  it("does not ask again for every client while upstream fails", async () => {
    const { upstream, get, move, pass, settled } = world({ staleWhileRevalidate: HOUR });
    move(1);
    await get();
    pass(2 * MINUTE);
    upstream.failure = new OciError("UPSTREAM_INVALID", "trouble");
    upstream.asked.length = 0;
    for (let n = 0; n < 5; n += 1) {
      expect(await seen(get())).toBe("stale");
      await settled();
    }
    expect(upstream.asked.length).toBe(1);
    pass(MINUTE);
    await get();
    await settled();
    expect(upstream.asked.length).toBe(2);
  });

  it("has a bound on all that goes on behind the clients", async () => {
    const { upstream, registry, pass } = stack({ rules: [{ match: "**", staleWhileRevalidate: HOUR }], publicFor: 9 * HOUR });
    upstream.repo("acme/app", { isPublic: true });
    const tags = Array.from({ length: 40 }, (_, n) => `t${n}`);
    for (const tag of tags) {
      upstream.manifest("acme/app", tag, { tag });
      await registry.getManifest(manifest("acme/app", tag), context());
    }
    pass(2 * MINUTE);
    upstream.asked.length = 0;
    upstream.gate = new Promise(() => undefined);
    for (const tag of tags) expect(await seen(registry.getManifest(manifest("acme/app", tag), context()))).toBe("stale");
    await vi.waitFor(() => expect(upstream.count("statManifest")).toBe(16));
  });

  it("does not hold after a push: upstream is waited for", async () => {
    const { get, move, pass, push } = world({ staleWhileRevalidate: HOUR });
    move(1);
    await get();
    pass(2 * MINUTE);
    let pushed = "";
    await push(async () => {
      pushed = move(2);
      return { status: 201 };
    });
    expect((await get()).descriptor.digest).toBe(pushed);
  });

  it("is not for ever when the clock is turned back", async () => {
    const { get, move, pass, upstream } = world({ staleWhileRevalidate: HOUR });
    move(1);
    await get();
    pass(-HOUR);
    const second = move(2);
    upstream.asked.length = 0;
    expect((await get()).descriptor.digest).toBe(second);
  });
});

describe("a pinned tag", () => {
  it("never moves once it is held, and costs no question", async () => {
    const { upstream, registry, get, move, pass, push } = world({ pin: true });
    const first = move(1);
    expect(await seen(get())).toBe("miss");
    move(2);
    pass(100 * HOUR);
    await push(async () => ({ status: 201 }));
    await expect(push(() => Promise.reject(new Error("torn")))).rejects.toThrow("torn");
    upstream.asked.length = 0;
    const { descriptor, provenance } = await get();
    expect(descriptor.digest).toBe(first);
    expect(provenance).toEqual({ source: "hit", age: 100 * 3_600 });
    // by whom might push, too
    expect((await registry.statManifest(APP, context("Bearer opaque"))).descriptor.digest).toBe(first);
    expect(upstream.asked).toEqual([]);
  });

  it("still needs a right", async () => {
    const { get, move } = world({ pin: true }, { readers: [ANN] });
    move(1);
    expect(await seen(get(context(ANN)))).toBe("miss");
    expect(await seen(get())).toBe("UNAUTHORIZED");
    expect(await seen(get(context("Basic bob")))).toBe("UNAUTHORIZED");
  });

  it("stays what it is when upstream has it no more, for whom may read the repository", async () => {
    const { get, move, upstream } = world({ pin: true, onGone: "drop" }, { readers: [ANN, "Basic eve"] });
    const digest = move(1);
    await get(context(ANN));
    upstream.repo("acme/app").manifests.clear();
    upstream.repo("acme/app").tags.clear();
    expect((await get(context("Basic eve"))).descriptor.digest).toBe(digest);
  });

  it("whose bytes are gone is fetched by its digest", async () => {
    const { get, move, upstream, blobs, registry } = world({ pin: true });
    const digest = move(1);
    await get();
    move(2);
    await blobs.delete(digest);
    upstream.asked.length = 0;
    expect((await registry.statManifest(APP, context())).descriptor.digest).toBe(digest);
    expect((await get()).descriptor.digest).toBe(digest);
    expect(upstream.asked).toEqual([`statManifest acme/app ${digest} -`, `getManifest acme/app ${digest} -`]);
  });

  it("is what came first, of two that were asked for together", async () => {
    const { registry, get, move } = world({ pin: true });
    const first = move(1);
    await registry.statManifest(APP, context());
    const second = move(2);
    await registry.statManifest(APP, context("Basic x"));
    const [, pinned] = await Promise.all(
      [second, first].map((digest) => registry.getManifest(manifest("acme/app", digest), context())),
    );
    expect(pinned).toBeDefined();
    const before = (await get()).descriptor.digest;
    for (const digest of [first, second]) await registry.getManifest(manifest("acme/app", digest), context());
    expect((await get()).descriptor.digest).toBe(before);
  });
});

describe("onGone", () => {
  it("is by rule, for a tag as for what it led to", async () => {
    const made = stack({ rules: [{ match: "acme/app:dev-*", onGone: "drop" }] });
    const { upstream, registry, pass } = made;
    upstream.repo("acme/app", { isPublic: true });
    for (const tag of ["v1", "dev-1"]) {
      upstream.manifest("acme/app", tag, { tag });
      await registry.getManifest(manifest("acme/app", tag), context());
    }
    upstream.repo("acme/app").tags.clear();
    upstream.repo("acme/app").manifests.clear();
    pass(2 * MINUTE);
    expect(await seen(registry.getManifest(manifest("acme/app", "v1"), context()))).toBe("stale");
    expect(await seen(registry.getManifest(manifest("acme/app", "dev-1"), context()))).toBe("MANIFEST_UNKNOWN");
  });

  it("of a repository is for its blobs too", async () => {
    const made = stack({ rules: [{ match: "acme/app", onGone: "drop" }] });
    const { upstream, registry, pass } = made;
    upstream.repo("acme/app", { isPublic: true });
    const layer = upstream.blob("acme/app", Buffer.from("layer"));
    await readBlob(registry, blob("acme/app", layer), context());
    upstream.repo("acme/app").blobs.clear();
    pass(2 * HOUR);
    expect(await seen(registry.getBlob(blob("acme/app", layer), context()))).toBe("BLOB_UNKNOWN");
  });
});
