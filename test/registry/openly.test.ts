// Clients without a token at a registry that wants one for everything: what is public needs none of theirs, what is not known to be gets a challenge.
import { describe, expect, it } from "vitest";
import { status } from "../faults/behaviours.ts";
import { type FaultUpstream, faultUpstream } from "../faults/upstream.ts";
import { siteDoor } from "../http/site-door.ts";
import { HOUR } from "./stack.ts";

const LAYER = Buffer.from("a layer of two repositories");
/** Not the looks for whether their server is there. */
const TOKENS = /^\/token\?/;
const TAG = "/v2/open/app/manifests/v1";

const world = async (site: object = {}) => {
  const owners: Record<string, string> = { "ann/app": "ann" };
  const upstream = await faultUpstream({ auth: { kind: "bearer", users: { ann: "pw" }, owners } });
  const { top, layers } = upstream.content.seed({ repo: "open/app", tag: "v1", layers: [LAYER] });
  upstream.content.seed({ repo: "ann/app", tag: "v1", layers: [LAYER] });
  upstream.content.seed({ repo: "open/other", tag: "v1", layers: [LAYER] });
  const door = await siteDoor(upstream, { freshFor: "0s", ...site });
  await door.ask("/v2/");
  const token = async (repo: string, login?: string) => {
    const headers = login === undefined ? {} : { authorization: `Basic ${Buffer.from(login).toString("base64")}` };
    const url = new URL(`/token?service=fault.example&scope=repository:${repo}:pull`, upstream.url);
    const answer = (await (await fetch(url, { headers })).json()) as { token: string };
    return { authorization: `Bearer ${answer.token}` };
  };
  const paths = (repo: string) => ({
    tag: `/v2/${repo}/manifests/v1`,
    digest: `/v2/${repo}/manifests/${top.digest}`,
    layer: `/v2/${repo}/blobs/${layers[0]!.digest}`,
    tags: `/v2/${repo}/tags/list`,
    referrers: `/v2/${repo}/referrers/${top.digest}`,
  });
  const asked = async (path: string, headers = {}, method = "GET") => {
    const { status: code, headers: answer, body } = await door.ask(path, { headers, method });
    return { code, cache: answer["x-cache"], challenge: answer["www-authenticate"], body };
  };
  /** Pulled once with an anonymous token, and known to be public. */
  const pulled = async () => {
    const mine = await token("open/app");
    for (const path of Object.values(paths("open/app"))) expect((await asked(path, mine)).code).toBe(200);
    await expect.poll(async () => (await asked(paths("open/app").digest)).code).toBe(200);
    upstream.clear();
  };
  return { upstream, door, owners, token, paths, asked, pulled };
};

describe("without a token, what is known to be public", () => {
  it("is had by every way of reading, its tags and lists confirmed by upstream", async () => {
    const { asked, paths, pulled, upstream } = await world();
    await pulled();
    for (const method of ["GET", "HEAD"]) {
      for (const [what, path] of Object.entries(paths("open/app")))
        expect({ what, method, ...(await asked(path, {}, method)) }).toMatchObject({ code: 200 });
    }
    expect((await asked(TAG)).cache).toBe("REVALIDATED");
    expect(upstream.count(({ method, path }) => method === "GET" && /manifests|blobs/.test(path))).toBe(0);
  });

  it("is had while the token server alone is away, and no token is good any more", async () => {
    const { asked, paths, pulled, upstream } = await world();
    await pulled();
    upstream.gate.revokeTokens();
    upstream.fault(/^\/token/, status(503));
    for (const method of ["GET", "HEAD"]) {
      for (const [what, path] of Object.entries(paths("open/app")))
        expect({ what, method, ...(await asked(path, {}, method)) }).toMatchObject({ code: 200 });
    }
  });

  it("but is not held, gets a challenge also while no token can be had here: it may be had elsewhere", async () => {
    const { asked, pulled, upstream } = await world();
    await pulled();
    upstream.gate.revokeTokens();
    upstream.fault(/^\/token/, status(503));
    const none = `sha256:${"0".repeat(64)}`;
    const challenge = expect.stringContaining('scope="repository:open/app:pull"') as string;
    for (const method of ["GET", "HEAD"]) {
      for (const path of ["manifests/none", `manifests/${none}`, `blobs/${none}`, `referrers/${none}`])
        expect(await asked(`/v2/open/app/${path}`, {}, method)).toMatchObject({ code: 401, challenge });
    }
  });

  it.each([429, 500])("is asked for once where upstream itself says %i, and is had", async (code) => {
    const { asked, paths, pulled, upstream } = await world();
    await pulled();
    upstream.fault(/^\/v2\//, status(code));
    expect(await asked(paths("open/app").tag)).toMatchObject({ code: 200, cache: "STALE" });
    expect(upstream.count()).toBe(1);
  });

  it("is had also where its layers are held from another repository, for one HEAD and no byte", async () => {
    const { asked, paths, pulled, token, upstream } = await world();
    await pulled();
    const other = paths("open/other");
    expect((await asked(other.tag, await token("open/other"))).code).toBe(200);
    await expect.poll(async () => (await asked(other.tag)).code).toBe(200);
    upstream.clear();
    expect(await asked(other.layer)).toMatchObject({ code: 200, body: LAYER });
    const blobs = upstream.requests(/blobs/).filter((one) => one.status === 200);
    expect(blobs.map(({ method }) => method)).toEqual(["HEAD"]);
  });

  it("is confirmed, and fetched where it has moved, behind a client that is served at once", async () => {
    const { asked, pulled, upstream } = await world({ staleWhileRevalidate: "1h" });
    await pulled();
    const { top } = upstream.content.seed({ repo: "open/app", tag: "v1" });
    expect((await asked(TAG)).cache).toBe("STALE");
    await expect.poll(async () => (await asked(TAG)).body).toEqual(top.bytes);
  });

  it("is not fetched on anybody's account: whoever wants what has moved is asked who it is", async () => {
    const { asked, pulled, upstream, token } = await world();
    await pulled();
    const { top } = upstream.content.seed({ repo: "open/app", tag: "v1" });
    expect(await asked(TAG)).toMatchObject({ code: 401, challenge: expect.stringContaining("Bearer realm=") as string });
    expect(await asked(TAG, await token("open/app", "ann:pw"))).toMatchObject({ code: 200, body: top.bytes });
    expect(upstream.count(({ method, path }) => method === "GET" && path === TAG)).toBe(2);
  });
});

describe("without a token, what is not known to be public", () => {
  it("gets upstream's challenge, held or not, and nothing is asked in its place", async () => {
    const { asked, paths, token, upstream } = await world();
    const challenge = expect.stringContaining('scope="repository:ann/app:pull"') as string;
    const refused = async () => {
      upstream.clear();
      for (const path of Object.values(paths("ann/app"))) expect(await asked(path)).toMatchObject({ code: 401, challenge });
      expect(upstream.count(TOKENS)).toBe(0);
    };
    await refused();
    const ann = await token("ann/app", "ann:pw");
    for (const path of Object.values(paths("ann/app"))) await asked(path, ann);
    // hers, and the one by which it is found out that it is not public
    await expect.poll(() => upstream.count(TOKENS)).toBe(2);
    await refused();
  });

  it.each([
    ["the registry", () => undefined],
    // as GHCR does
    ["the token server", (upstream: FaultUpstream) => upstream.fault(/^\/token/, status(403))],
  ])("gets it also where it was public until now, as %s says, and from then on", async (_whose, fault) => {
    const { door, asked, paths, pulled, owners, upstream } = await world();
    await pulled();
    door.grant("open/app", undefined, 2 * HOUR, HOUR);
    owners["open/app"] = "ann";
    upstream.gate.revokeTokens();
    fault(upstream);
    const challenge = expect.stringContaining('scope="repository:open/app:pull"') as string;
    expect(await asked(paths("open/app").digest)).toMatchObject({ code: 401, challenge });
    upstream.clear();
    for (const path of Object.values(paths("open/app"))) expect(await asked(path)).toMatchObject({ code: 401, challenge });
    expect(upstream.count(TOKENS)).toBe(0);
  });
});
