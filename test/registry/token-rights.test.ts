// What a token is worth that was checked with the registry's keys: as much as a yes of upstream's to it, and no more.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parsePublicKeys } from "../../src/lib/public-keys.ts";
import { parseRepository } from "../../src/oci/reference.ts";
import type { Context } from "../../src/oci/registry.ts";
import { exchanges } from "../../src/registry/exchanged.ts";
import { subjectOf } from "../../src/registry/subject.ts";
import { fixedKeys } from "../../src/registry/token-keys.ts";
import { voucher } from "../../src/registry/vouch.ts";
import { access, claimsAt, ecSigner, jwks, macced, pemOf, SERVICE, signed, unsigned } from "./signer.ts";
import { blob, context, HOUR, MINUTE, manifest, readBlob, SECRET, seen, stack } from "./stack.ts";

const ours = ecSigner();
const BYTES = Buffer.from("a layer of acme's own");
const REPO = "acme/app";

const prepared = async (changes: Parameters<typeof stack>[0] = {}) => {
  const given = exchanges();
  const world = stack(changes, undefined, {}, undefined, undefined, (clock) => ({
    exchanges: given,
    voucher: voucher({
      keys: fixedKeys(parsePublicKeys(jwks([ours, { kid: "ours" }]))),
      audience: () => Promise.resolve(SERVICE),
      secret: SECRET,
      clock,
    }),
  }));
  const { upstream, registry, clock, site } = world;
  upstream.repo(REPO);
  upstream.repo("bob/app");
  const layer = upstream.blob(REPO, BYTES);
  const secret = upstream.blob("bob/app", Buffer.from("bob's secret"));
  const digest = upstream.manifest(REPO, "v1", { layers: [{ digest: layer }] });
  let count = 0;
  /** Another token each time. `isTaken`: by upstream, which is not asked to know our keys. */
  const token = (changes: Record<string, unknown> = {}, isTaken = false): string => {
    count += 1;
    const bearer = `Bearer ${signed(ours, { kid: "ours" }, claimsAt(clock(), { jti: String(count), ...changes }))}`;
    if (isTaken) for (const repo of upstream.repos.values()) repo.readers.add(bearer);
    return bearer;
  };
  const ways: Record<string, (ctx: Context) => Promise<{ provenance: { source: string } }>> = {
    "manifest by tag": (ctx) => registry.getManifest(manifest(REPO, "v1"), ctx),
    "manifest by digest": (ctx) => registry.getManifest(manifest(REPO, digest), ctx),
    "manifest HEAD by digest": (ctx) => registry.statManifest(manifest(REPO, digest), ctx),
    blob: (ctx) => registry.getBlob(blob(REPO, layer), ctx),
    "blob range": (ctx) => registry.getBlob(blob(REPO, layer, { start: 2, end: 5 }), ctx),
  };
  const fill = async () => {
    const first = token({}, true);
    expect(await readBlob(registry, blob(REPO, layer), context(first))).toEqual(BYTES);
    for (const way of Object.values(ways)) await way(context(first));
    upstream.asked.length = 0;
  };
  const held = (credential: string) => seen(registry.getBlob(blob(REPO, layer), context(credential)));
  /** Upstream is asked about something that is not held, with a token that it does not take. */
  const refuse = (credential: string) => seen(registry.getManifest(manifest(REPO, "v9"), context(credential)));
  const exchanged = (credential: string, repos: readonly string[], life = 300_000) =>
    given.note(site.host, subjectOf(credential, SECRET), {
      subject: subjectOf("Basic YW5uOmE=", SECRET),
      pulls: new Set(repos),
      since: clock(),
      until: clock() + life,
    });
  return { ...world, ways, fill, token, held, refuse, exchanged, layer, secret, digest };
};

const WAYS = ["manifest by tag", "manifest by digest", "manifest HEAD by digest", "blob", "blob range"];

describe.each(WAYS)("%s", (way) => {
  it("is had with any token that is right, without a question, also in an outage", async () => {
    const { ways, fill, token, upstream, cut } = await prepared();
    await fill();
    for (let i = 0; i < 3; i += 1) expect(await seen(ways[way]!(context(token())))).toBe("hit");
    cut();
    expect(await seen(ways[way]!(context(token({ sub: "bob" }))))).toBe("hit");
    expect(upstream.asked).toEqual([]);
  });

  const forger = ecSigner();
  const WRONG: Record<string, (now: number) => string> = {
    forged: (now) => signed(forger, { kid: "ours" }, claimsAt(now)),
    "signed by a key that it brings": (now) => signed(forger, { jwk: forger.publicKey.export({ format: "jwk" }) }, claimsAt(now)),
    expired: (now) => signed(ours, { kid: "ours" }, claimsAt(now - 300_000)),
    "not yet valid": (now) => signed(ours, { kid: "ours" }, claimsAt(now + 100_000)),
    "for another audience": (now) => signed(ours, { kid: "ours" }, claimsAt(now, { aud: "other" })),
    "for another repository": (now) => signed(ours, { kid: "ours" }, claimsAt(now, { access: [access("bob/app", "pull")] })),
    "for another action": (now) => signed(ours, { kid: "ours" }, claimsAt(now, { access: [access(REPO, "push")] })),
    "alg none": (now) => unsigned({ kid: "ours" }, claimsAt(now)),
    "key confusion": (now) => macced(pemOf(ours), { kid: "ours" }, claimsAt(now)),
  };
  it.each(Object.entries(WRONG))(
    "is upstream's to judge with a token %s, whoever else it has said yes to",
    async (_name, make) => {
      const { ways, fill, upstream, cut, clock } = await prepared();
      await fill();
      const bearer = `Bearer ${make(clock())}`;
      expect(await seen(ways[way]!(context(bearer)))).toBe("UNAUTHORIZED");
      expect(upstream.asked.some((line) => line.endsWith(bearer))).toBe(true);
      cut();
      expect(await seen(ways[way]!(context(bearer)))).toBe("UPSTREAM_UNREACHABLE");
    },
  );
});

describe("a token that is right", () => {
  it("needs a link all the same", async () => {
    const { fill, token, registry, secret, upstream } = await prepared();
    await fill();
    const bobs = token({ access: [access("bob/app", "pull")] });
    upstream.repo("bob/app").readers.add(bobs);
    expect(await readBlob(registry, blob("bob/app", secret), context(bobs))).toEqual(Buffer.from("bob's secret"));
    upstream.repo(REPO).readers.add("anybody");
    expect(await seen(registry.getBlob(blob(REPO, secret), context(token())))).toBe("UNAUTHORIZED");
    expect(await seen(registry.getBlob(blob(REPO, secret), context(token({}, true))))).toBe("BLOB_UNKNOWN");
  });

  it("is worth nothing once upstream has refused it, nor is another of the same subject, until grantFor is over", async () => {
    const { fill, token, held, refuse, pass, setUp } = await prepared();
    await fill();
    const refused = token({ exp: Date.UTC(2027, 0) / 1_000 });
    expect(await held(refused)).toBe("hit");
    expect(await refuse(refused)).toBe("UNAUTHORIZED");
    expect(await held(refused)).toBe("UNAUTHORIZED");
    expect(await held(token())).toBe("UNAUTHORIZED");
    expect(await held(token({ sub: "bob" }))).toBe("hit");
    setUp(false);
    expect(await held(refused)).toBe("UNAUTHORIZED");
    pass(4 * MINUTE);
    setUp(true);
    expect(await held(token())).toBe("UNAUTHORIZED");
    pass(6 * MINUTE);
    expect(await held(token())).toBe("hit");
  });

  it("is worth something again once upstream has thought better of it", async () => {
    const { fill, token, held, refuse, upstream } = await prepared();
    await fill();
    expect(await refuse(token())).toBe("UNAUTHORIZED");
    expect(await held(token({}, true))).toBe("hit");
    upstream.asked.length = 0;
    expect(await held(token())).toBe("hit");
    expect(upstream.asked).toEqual([]);
  });

  it("loses nothing by what upstream says to tokens that do not name the repository, or are over", async () => {
    const { fill, token, held, refuse, pass } = await prepared();
    await fill();
    const over = token();
    expect(await held(over)).toBe("hit");
    expect(await refuse(token({ access: [access("bob/app", "pull")] }))).toBe("UNAUTHORIZED");
    pass(300_000);
    expect(await refuse(over)).toBe("UNAUTHORIZED");
    expect(await held(token())).toBe("hit");
  });

  it("ends when it says, and in an outage serves on for staleAccess if it was seen before", async () => {
    const { fill, token, held, cut, pass, clock } = await prepared();
    await fill();
    const [seenBefore, never] = [token(), token({ exp: clock() / 1_000 + 100 })];
    expect(await held(seenBefore)).toBe("hit");
    pass(300_000);
    expect(await held(seenBefore)).toBe("UNAUTHORIZED");
    const another = token();
    expect(await held(another)).toBe("hit");
    cut();
    pass(300_000);
    expect(await held(another)).toBe("stale");
    expect(await held(never)).toBe("UPSTREAM_UNREACHABLE");
    pass(24 * HOUR);
    expect(await held(another)).toBe("UPSTREAM_UNREACHABLE");
  });

  it("is no better for a clock that was turned back, or on and back", async () => {
    const { fill, token, held, pass, cut } = await prepared();
    await fill();
    const bearer = token();
    expect(await held(bearer)).toBe("hit");
    pass(-2_000);
    expect(await held(bearer)).toBe("UNAUTHORIZED");
    pass(2_000);
    pass(-HOUR);
    cut();
    expect(await held(bearer)).toBe("UPSTREAM_UNREACHABLE");
    pass(2 * HOUR);
    expect(await held(bearer)).toBe("UPSTREAM_UNREACHABLE");
  });

  it("is a login by itself, as long as it lasts", async () => {
    const { rights, token, pass } = await prepared();
    const bearer = token();
    expect(await rights.known(bearer)).toBe(true);
    expect(await rights.known(`${bearer.slice(0, -8)}AAAAAAAA`)).toBe(false);
    pass(300_000);
    expect(await rights.known(bearer)).toBe(false);
  });

  it("is never what it was by any change to it", async () => {
    const { fill, token, held, cut } = await prepared();
    await fill();
    const right = token();
    cut();
    const place = fc.nat(right.length - 10).filter((at) => at >= "Bearer ".length);
    await fc.assert(
      fc.asyncProperty(place, fc.constantFrom("A", "B", "-", "_", ".", "=", "/"), async (at, by) => {
        fc.pre(right[at] !== by);
        expect(await held(right.slice(0, at) + by + right.slice(at + 1))).toBe("UPSTREAM_UNREACHABLE");
      }),
      { numRuns: 200 },
    );
  });
});

describe("a token seen to be exchanged", () => {
  const OPAQUE = ["Bearer one", "Bearer two", "Bearer three"] as const;

  it("is as good as the last, within grantFor of upstream's yes to any, and for its own repositories alone", async () => {
    const { fill, exchanged, held, upstream, pass } = await prepared();
    await fill();
    upstream.repo(REPO).readers.add(OPAQUE[0]);
    for (const one of OPAQUE) exchanged(one, one === OPAQUE[2] ? ["bob/app"] : [REPO]);
    expect(await held(OPAQUE[0])).toBe("hit");
    expect(await held(OPAQUE[1])).toBe("hit");
    expect(await held(OPAQUE[2])).toBe("UNAUTHORIZED");
    expect(await held("Bearer four")).toBe("UNAUTHORIZED");
    pass(5 * MINUTE);
    expect(await held(OPAQUE[1])).toBe("UNAUTHORIZED");
    expect(await held(OPAQUE[0])).toBe("hit");
  });

  it("is live no longer than it lasts, though its credential's grant is", async () => {
    const { fill, exchanged, held, upstream, pass, cut } = await prepared();
    await fill();
    upstream.repo(REPO).readers.add(OPAQUE[0]);
    exchanged(OPAQUE[0], [REPO], HOUR);
    exchanged(OPAQUE[1], [REPO], 60_000);
    expect(await held(OPAQUE[0])).toBe("hit");
    expect(await held(OPAQUE[1])).toBe("hit");
    pass(60_000);
    expect(await held(OPAQUE[1])).toBe("UNAUTHORIZED");
    expect(await held(OPAQUE[0])).toBe("hit");
    exchanged(OPAQUE[2], [REPO], 60_000);
    pass(60_000);
    cut();
    expect(await held(OPAQUE[2])).toBe("stale");
    pass(24 * HOUR);
    expect(await held(OPAQUE[2])).toBe("UPSTREAM_UNREACHABLE");
  });

  it("that upstream refuses takes its credential's grant along", async () => {
    const { fill, exchanged, held, refuse, upstream, cut } = await prepared();
    await fill();
    upstream.repo(REPO).readers.add(OPAQUE[0]);
    exchanged(OPAQUE[0], [REPO]);
    exchanged(OPAQUE[1], [REPO]);
    expect(await held(OPAQUE[0])).toBe("hit");
    expect(await refuse(OPAQUE[1])).toBe("UNAUTHORIZED");
    cut();
    expect(await held(OPAQUE[1])).toBe("UPSTREAM_UNREACHABLE");
    exchanged(OPAQUE[2], [REPO]);
    expect(await held(OPAQUE[2])).toBe("UPSTREAM_UNREACHABLE");
  });

  it("is a login where its credential was good for anything", async () => {
    const { fill, exchanged, held, rights, upstream } = await prepared();
    await fill();
    upstream.repo(REPO).readers.add(OPAQUE[0]);
    exchanged(OPAQUE[0], [REPO]);
    exchanged(OPAQUE[1], ["bob/app"]);
    await held(OPAQUE[0]);
    expect(await rights.known(OPAQUE[1])).toBe(true);
    expect(await rights.known(OPAQUE[2])).toBe(false);
    expect(await rights.standing(parseRepository(REPO), OPAQUE[1])).toBe("none");
  });
});
