import { describe, expect, it } from "vitest";
import { silent } from "../../src/lib/log.ts";
import { parseReference, parseRepository } from "../../src/oci/reference.ts";
import type { OwnCredentials } from "../../src/sites.ts";
import { asAnybody, asClient, asLayover } from "../../src/upstream/asker.ts";
import { fixed } from "../../src/upstream/credentials.ts";
import { ownRealms } from "../../src/upstream/own-realms.ts";
import { Tokens } from "../../src/upstream/token.ts";
import { redirectTo, status } from "../faults/behaviours.ts";
import { type FaultOptions, faultUpstream } from "../faults/upstream.ts";
import { asking, failureOf, registryAt, transportFor } from "./asking.ts";
import { secureTransport, secureUpstream } from "./secure.ts";

const USERS = { users: { ann: "pw", ben: "pw" }, owners: { "ann/app": "ann" } };
const repo = parseRepository("ann/app");
const open = parseRepository("open/app");
const reference = parseReference("1");
const basic = (name: string, password: string) => `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;

const world = async (auth: FaultOptions["auth"]) => {
  const upstream = await faultUpstream(auth === undefined ? {} : { auth });
  upstream.content.seed({ repo: "ann/app", tag: "1" });
  upstream.content.seed({ repo: "open/app", tag: "1" });
  const transport = transportFor();
  const tokens = new Tokens(transport, Date.now);
  const own = (credentials: OwnCredentials, realms: string[] = []) => {
    const allowed = ownRealms({ host: "registry.example", realms }, silent);
    return registryAt(upstream.url, asLayover(allowed, tokens, fixed(credentials)), transport);
  };
  return {
    upstream,
    own,
    client: registryAt(upstream.url, asClient, transport),
    anybody: registryAt(upstream.url, asAnybody(tokens), transport),
  };
};

describe("as the client", () => {
  it("the credential goes along as it is, and the challenge comes back as it is", async () => {
    const { upstream, client } = await world({ kind: "bearer", ...USERS });
    const failure = await failureOf(client.getManifest({ repo, reference }, asking({ credential: "Basic Og==" })));
    expect(upstream.log[0]!.headers.authorization).toBe("Basic Og==");
    const challenge = `Bearer realm="${upstream.url.origin}/token",service="fault.example",scope="repository:ann/app:pull"`;
    expect(failure).toMatchObject({ code: "UNAUTHORIZED", status: 401, upstream: { challenges: [challenge] } });
    expect(upstream.count()).toBe(1);
  });

  it("several challenges come back in order", async () => {
    const { upstream, client } = await world({ kind: "none" });
    const challenges = ['Basic realm="a, b"', 'Bearer realm="https://a.example/t"'];
    upstream.fault(/v2/, status(401, { "www-authenticate": challenges }, "words"));
    const failure = await failureOf(client.getManifest({ repo, reference }, asking()));
    expect(failure.upstream).toMatchObject({ challenges, body: "words" });
  });
});

describe("as anybody", () => {
  it("what is public is had with a token, what is not is refused with the challenge", async () => {
    const { upstream, anybody } = await world({ kind: "bearer", ...USERS });
    expect((await anybody.getManifest({ repo: open, reference }, asking())).bytes.length).toBeGreaterThan(0);
    expect((await failureOf(anybody.getManifest({ repo, reference }, asking()))).code).toBe("UNAUTHORIZED");
    expect(upstream.requests(/token/).every(({ hasAuthorization }) => !hasAuthorization)).toBe(true);
  });

  it("the client's own credential stays out of it", async () => {
    const { upstream, anybody } = await world({ kind: "bearer", ...USERS });
    const credential = basic("ann", "pw");
    await failureOf(anybody.getManifest({ repo, reference }, asking({ credential })));
    expect(upstream.log.some(({ headers }) => headers.authorization === credential)).toBe(false);
  });

  it("no secure upstream sends to a realm that is not: it could be any server of the house", async () => {
    const house = await faultUpstream();
    const upstream = await secureUpstream({ auth: { kind: "bearer", realm: `${house.url.origin}/token` } });
    const transport = await secureTransport();
    const anybody = registryAt(upstream.url, asAnybody(new Tokens(transport, Date.now)), transport);
    const failure = await failureOf(anybody.getManifest({ repo: open, reference }, asking()));
    expect(failure.code).toBe("UPSTREAM_INVALID");
    expect(failure.message).toContain(house.url.host);
    expect(house.count()).toBe(0);
  });

  it("a realm that has no token for anybody refuses", async () => {
    const { upstream, anybody } = await world({ kind: "bearer", ...USERS });
    upstream.fault(/token/, status(403));
    expect((await failureOf(anybody.getManifest({ repo, reference }, asking()))).code).toBe("DENIED");
  });

  it("a Basic challenge is nobody's to meet", async () => {
    const { upstream, anybody } = await world({ kind: "basic", ...USERS });
    expect((await failureOf(anybody.getManifest({ repo, reference }, asking()))).code).toBe("UNAUTHORIZED");
    expect(upstream.count()).toBe(1);
  });
});

describe("as Layover", () => {
  it("a password buys a token, which is held for the next question", async () => {
    const { upstream, own } = await world({ kind: "bearer", ...USERS });
    const registry = own({ username: "ann", password: "pw" });
    await registry.getManifest({ repo, reference }, asking());
    await registry.getManifest({ repo, reference }, asking());
    expect(upstream.count(/manifests/)).toBe(3);
    expect(upstream.count(/token/)).toBe(1);
    expect(upstream.requests(/token/)[0]!.headers.authorization).toBe(basic("ann", "pw"));
  });

  it("a held token that upstream takes no more is replaced within the question", async () => {
    const { upstream, own } = await world({ kind: "bearer", ...USERS });
    const registry = own({ username: "ann", password: "pw" });
    await registry.getManifest({ repo, reference }, asking());
    upstream.gate.revokeTokens();
    upstream.clear();
    await registry.getManifest({ repo, reference }, asking());
    expect(upstream.count(/token/)).toBe(1);
    expect(upstream.count(/manifests/)).toBe(2);
  });

  it("a fresh token that is not enough is not asked for twice", async () => {
    const { upstream, own } = await world({ kind: "bearer", ...USERS });
    const failure = await failureOf(own({ username: "ben", password: "pw" }).getManifest({ repo, reference }, asking()));
    expect(failure.code).toBe("UNAUTHORIZED");
    expect(upstream.count(/token/)).toBe(1);
    expect(upstream.count(/manifests/)).toBe(2);
  });

  it("a password meets a Basic challenge", async () => {
    const { own } = await world({ kind: "basic", ...USERS });
    expect((await own({ username: "ann", password: "pw" }).getManifest({ repo, reference }, asking())).provenance.source).toBe(
      "miss",
    );
    expect((await failureOf(own({ username: "ann", password: "no" }).getManifest({ repo, reference }, asking()))).code).toBe(
      "UNAUTHORIZED",
    );
  });

  it("what a repository takes goes along at once the next time, and is no use for another", async () => {
    const { upstream, own } = await world({ kind: "basic", ...USERS });
    const registry = own({ username: "ann", password: "pw" });
    for (let n = 0; n < 3; n += 1) await registry.getManifest({ repo, reference }, asking());
    expect(upstream.log.map(({ status: code }) => code)).toEqual([401, 200, 200, 200]);
    await registry.getManifest({ repo: open, reference }, asking());
    expect(upstream.log.map(({ status: code }) => code).slice(4)).toEqual([401, 200]);
  });

  it("a token of ours goes along at once", async () => {
    const { upstream, own } = await world({ kind: "none" });
    await own({ token: "abc" }).getManifest({ repo, reference }, asking({ credential: "Basic eDp5" }));
    expect(upstream.log[0]!.headers.authorization).toBe("Bearer abc");
  });

  it("nothing of ours goes to a foreign realm", async () => {
    const foreign = await faultUpstream();
    const { own } = await world({ kind: "bearer", realm: `${foreign.url.origin}/token`, ...USERS });
    const failure = await failureOf(own({ username: "ann", password: "pw" }).getManifest({ repo, reference }, asking()));
    expect(failure.code).toBe("UPSTREAM_INVALID");
    expect(failure.message).toContain(foreign.url.host);
    expect(foreign.count()).toBe(0);
  });

  it("nothing of ours goes to where a redirect leads, whatever it asks for", async () => {
    const { upstream, own } = await world({ kind: "none" });
    const thief = await faultUpstream({ auth: { kind: "basic" } });
    upstream.fault(/manifests/, redirectTo(new URL("/v2/a/manifests/1", thief.url).href));
    await failureOf(own({ username: "ann", password: "pw" }).getManifest({ repo, reference }, asking()));
    expect(thief.requests().every(({ hasAuthorization }) => !hasAuthorization)).toBe(true);
  });

  it("without credentials it is anybody", async () => {
    const { own } = await world({ kind: "bearer", ...USERS });
    expect((await own({}).getManifest({ repo: open, reference }, asking())).bytes.length).toBeGreaterThan(0);
  });
});
