// Which rule is about which reference, and what may not be asked for at all.
import { describe, expect, it } from "vitest";
import { parseReference, parseRepository } from "../../src/oci/reference.ts";
import { policyOf } from "../../src/registry/policy.ts";
import type { Rule } from "../../src/sites.ts";
import { blob, context, MINUTE, manifest, POLICY, readBlob, seen, stack } from "./stack.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const of = (rules: readonly Rule[], repo: string, reference: string) =>
  policyOf({
    policy: POLICY,
    rules,
    allow: [],
    offline: false,
    host: "registry.example",
    kind: "upstream",
    onMissing: "cache",
  }).of(parseRepository(repo), parseReference(reference));

describe("the first rule that matches", () => {
  const rules: readonly Rule[] = [
    { match: "acme/base:v*", pin: true },
    { match: "**:latest", freshFor: 5 * MINUTE, staleWhileRevalidate: MINUTE },
    { match: "acme/**", onGone: "drop" },
    { match: "acme/base", freshFor: 1 },
  ];

  it.each([
    ["acme/base", "v1.2", { rule: 0, pin: true, freshFor: POLICY.freshFor }],
    ["acme/base", "latest", { rule: 1, pin: false, freshFor: 5 * MINUTE, staleWhileRevalidate: MINUTE, onGone: "keep" }],
    ["node", "latest", { rule: 1 }],
    ["a/b/c", "latest", { rule: 1 }],
    ["acme/base", "x", { rule: 2, onGone: "drop", freshFor: POLICY.freshFor }],
    ["acme/a/b", "x", { rule: 2 }],
    ["acme/base", DIGEST, { rule: 2 }],
    ["other/base", "v1", { rule: undefined, ...POLICY }],
    ["other/base", DIGEST, { rule: undefined }],
  ])("%s:%s", (repo, reference, want) => expect(of(rules, repo, reference)).toMatchObject(want));

  it("is the same when it is asked again", () => {
    const policy = policyOf({
      policy: POLICY,
      rules,
      allow: [],
      offline: false,
      host: "registry.example",
      kind: "upstream",
      onMissing: "cache",
    });
    const ask = () => policy.of(parseRepository("acme/base"), parseReference("v1"));
    expect(ask()).toBe(ask());
  });
});

describe("what is missing", () => {
  const site = {
    host: "registry.example",
    kind: "upstream",
    policy: POLICY,
    allow: [],
    offline: false,
    onMissing: "cache",
  } as const;
  const missing = (settings: object, repo: string, reference: string) =>
    policyOf({ ...site, rules: [], ...settings }).of(parseRepository(repo), parseReference(reference)).onMissing;

  it.each([
    [{}, "a", "v1", "cache"],
    [{ onMissing: "refuse" }, "a", "v1", "refuse"],
    [{ onMissing: "refuse" }, "a", DIGEST, "refuse"],
    [{ rules: [{ match: "acme/**", onMissing: "refuse" }] }, "acme/app", "v1", "refuse"],
    [{ rules: [{ match: "acme/**", onMissing: "refuse" }] }, "acme/app", DIGEST, "refuse"],
    [{ rules: [{ match: "acme/**", onMissing: "refuse" }] }, "other", DIGEST, "cache"],
    // what is let through by its tag is pulled by its digests
    [{ onMissing: "refuse", rules: [{ match: "a:dev-*", onMissing: "cache" }] }, "a", "dev-1", "cache"],
    [{ onMissing: "refuse", rules: [{ match: "a:dev-*", onMissing: "cache" }] }, "a", "v1", "refuse"],
    [{ onMissing: "refuse", rules: [{ match: "a:dev-*", onMissing: "cache" }] }, "a", DIGEST, "cache"],
    [{ onMissing: "refuse", rules: [{ match: "a:dev-*", onMissing: "cache" }] }, "b", DIGEST, "refuse"],
    [{ rules: [{ match: "a:v*", onMissing: "refuse" }] }, "a", DIGEST, "cache"],
    [{ onMissing: "refuse", rules: [{ match: "**:latest", freshFor: 1 }] }, "a", DIGEST, "refuse"],
  ])("by %j of %s %s", (settings, repo, reference, want) => expect(missing(settings, repo, reference)).toBe(want));

  it("is asked of the list once for each of its versions", () => {
    const asked: string[] = [];
    const list = { version: 1, covers: (_site: string, repo: string, tag: string) => void asked.push(`${repo}:${tag}`) };
    const policy = policyOf({ ...site, rules: [] }, list);
    const ask = () => policy.of(parseRepository("a"), parseReference("v1"));
    expect([ask(), ask(), asked]).toEqual([ask(), ask(), ["a:v1"]]);
    list.version = 2;
    ask();
    expect(asked).toEqual(["a:v1", "a:v1"]);
  });
});

describe("deny", () => {
  const world = (rules: readonly Rule[]) => {
    const made = stack({ rules });
    made.upstream.repo("acme/app", { isPublic: true });
    const layer = made.upstream.blob("acme/app", Buffer.from("layer"));
    const digest = made.upstream.manifest("acme/app", "v1", { layers: [{ digest: layer }] });
    made.upstream.manifest("acme/app", "bad", { n: 2 });
    const { registry } = made;
    const by = (reference: string) => seen(registry.getManifest(manifest("acme/app", reference), context()));
    return { ...made, layer, digest, by };
  };

  it("of a tag refuses that tag alone, without a question", async () => {
    const { by, digest, upstream, registry } = world([{ match: "acme/app:b*", deny: true }]);
    expect(await by("bad")).toBe("DENIED");
    expect(await seen(registry.statManifest(manifest("acme/app", "bad"), context()))).toBe("DENIED");
    expect(upstream.asked).toEqual([]);
    expect(await by("v1")).toBe("miss");
    expect(await by(digest)).toBe("hit");
    await expect(registry.getManifest(manifest("acme/app", "bad"), context())).rejects.toThrow(
      "a rule of this site denies acme/app:bad",
    );
  });

  it("of a repository refuses everything in it", async () => {
    const { by, digest, layer, upstream, registry } = world([{ match: "acme/**", deny: true }]);
    expect(await by("v1")).toBe("DENIED");
    expect(await by(digest)).toBe("DENIED");
    expect(await seen(registry.getBlob(blob("acme/app", layer), context()))).toBe("DENIED");
    expect(await seen(registry.listTags({ repo: parseRepository("acme/app") }, context()))).toBe("DENIED");
    expect(await seen(registry.listTags({ repo: parseRepository("acme") }, context()))).toBe("NAME_UNKNOWN");
    expect(upstream.count("getBlob") + upstream.count("getManifest")).toBe(0);
  });

  it("leaves open by digest what an earlier rule lets through by its tag", async () => {
    const { by, digest, layer, registry } = world([{ match: "acme/app:v*" }, { match: "acme/**", deny: true }]);
    expect(await by("v1")).toBe("miss");
    expect(await by(digest)).toBe("hit");
    expect(await readBlob(registry, blob("acme/app", layer), context())).toEqual(Buffer.from("layer"));
    expect(await by("bad")).toBe("DENIED");
  });

  it("can except a tag from what is open", async () => {
    const policy = policyOf({
      policy: POLICY,
      rules: [{ match: "a:bad", deny: true }, { match: "a" }, { match: "**", deny: true }],
      ...{ host: "registry.example", kind: "upstream", allow: [], offline: false, onMissing: "cache" },
    });
    const refused = (repo: string, reference?: string) =>
      policy.refusal(parseRepository(repo), reference === undefined ? undefined : parseReference(reference))?.code;
    expect([refused("a", "bad"), refused("a", "good"), refused("a", DIGEST), refused("a")]).toEqual([
      "DENIED",
      undefined,
      undefined,
      undefined,
    ]);
    expect([refused("b", "good"), refused("b", DIGEST), refused("b")]).toEqual(["DENIED", "DENIED", "DENIED"]);
  });
});
