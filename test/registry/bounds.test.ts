// What clients can make us remember, and how it goes again.
import { describe, expect, it } from "vitest";
import { silent } from "../../src/lib/log.ts";
import { grants } from "../../src/registry/grants.ts";
import { expiryOf, subjectOf } from "../../src/registry/subject.ts";
import { blob, context, HOUR, manifest, seen, stack } from "./stack.ts";

describe("grants", () => {
  it("of tokens that nobody will bring again are swept", async () => {
    const { facts, site } = stack();
    const state = { now: 1_000 * HOUR };
    const clock = () => state.now;
    const first = grants(facts, silent, { clock, keepFor: site.staleAccess });
    const grantOf = (subject: string) => ({ site: site.host, repo: manifest("acme/app", "v1").repo, subject });
    first.put({ ...grantOf("old"), grantedAt: state.now, expiresAt: state.now + 1 });
    state.now += 25 * HOUR;
    first.put({ ...grantOf("new"), grantedAt: state.now, expiresAt: state.now + 1 });
    await first.close();
    expect(await facts.grant(grantOf("old"))).toBeUndefined();
    expect(await facts.grant(grantOf("new"))).toBeDefined();
  });

  it("survive a restart, and an end that was put does", async () => {
    const { facts, site } = stack();
    const key = { site: site.host, repo: manifest("acme/app", "v1").repo, subject: "x" };
    const options = { clock: () => 5, keepFor: HOUR };
    const first = grants(facts, silent, options);
    first.put({ ...key, grantedAt: 5, expiresAt: 10 });
    await first.close();
    const second = grants(facts, silent, options);
    expect(await second.get(key)).toMatchObject({ grantedAt: 5 });
    await second.end(key);
    await second.close();
    const third = grants(facts, silent, options);
    expect(await third.get(key)).toBeUndefined();
    await third.close();
  });

  it("are kept under a hash that tells nothing without the installation's key", () => {
    const credential = "Basic YWxpY2U6cHc=";
    expect(subjectOf(credential, Buffer.alloc(32, 1))).not.toBe(subjectOf(credential, Buffer.alloc(32, 2)));
    expect(subjectOf(credential, Buffer.alloc(32, 1))).not.toContain("alice");
    expect(subjectOf(undefined, Buffer.alloc(32, 1))).toBe("");
  });

  it("never outlive the token's own end", () => {
    const jwt = (claims: object) => `Bearer h.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.s`;
    expect(expiryOf(jwt({ exp: 7 }))).toBe(7_000);
    for (const none of [jwt({}), jwt({ exp: "7" }), "Bearer opaque", "Basic eDp5", "Bearer a.b.c", undefined])
      expect(expiryOf(none)).toBeUndefined();
  });
});

describe("listings", () => {
  it("are kept whole, and only of what is known to be there", async () => {
    const { registry, upstream, cut } = stack();
    upstream.repo("acme/app", { isPublic: true });
    const digest = upstream.manifest("acme/app", "v1", {});
    const { repo } = manifest("acme/app", "v1");
    await registry.getManifest(manifest("acme/app", "v1"), context());
    const unknown = blob("acme/app", `sha256:${"0".repeat(64)}`);
    const kept = [
      () => registry.listTags({ repo }, context()),
      () => registry.listReferrers(blob("acme/app", digest), context()),
    ];
    const passing = [
      () => registry.listTags({ repo, n: 7 }, context()),
      () => registry.listTags({ repo, last: "a" }, context()),
      () => registry.listReferrers({ ...blob("acme/app", digest), artifactType: "made/up" }, context()),
      () => registry.listReferrers({ ...blob("acme/app", digest), page: "p=1" }, context()),
      () => registry.listReferrers(unknown, context()),
    ];
    for (const ask of [...kept, ...passing]) expect(await seen(ask())).toBe("miss");
    cut();
    for (const ask of kept) expect(await seen(ask())).toBe("stale");
    for (const ask of passing) expect(await seen(ask())).toBe("UPSTREAM_UNREACHABLE");
  });
});
