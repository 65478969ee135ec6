// Tokens got at a realm under a name that we stand in for: whom they then stand for, over real sockets.
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Auth } from "../faults/auth.ts";
import { type Behaviour, cutAt, header, redirectTo, status } from "../faults/behaviours.ts";
import type { Logged } from "../faults/log.ts";
import { type FaultUpstream, faultUpstream } from "../faults/upstream.ts";
import { Front, HOST, startFront } from "../front.ts";

const basic = (name: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`,
});
const ANN = basic("ann", "ann's");
const REPO = "team/app";
const BLOBS = new RegExp(`^/v2/${REPO}/blobs/`);
const SERVICE = "fault.example";

const scopeOf = (repo = REPO, actions = "pull") => `repository:${repo}:${actions}`;
const tokenPath = (scope = scopeOf(), service = SERVICE, path = "/token") =>
  `${path}?${new URLSearchParams({ service, scope }).toString()}`;
const bearerIn = (body: Buffer): { authorization: string } => {
  const { token, access_token } = JSON.parse(body.toString()) as Record<string, string>;
  return { authorization: `Bearer ${token ?? access_token}` };
};

const world = async (auth: Partial<Auth> = {}, site: object = {}, isHeard = true) => {
  const users = { ann: "ann's", bob: "bob's" };
  const owners = { [REPO]: "ann", "team/other": "ann", "bob/app": "bob" };
  const bearer = { kind: "bearer", realm: `https://${HOST}/token`, users, owners } as const;
  const upstream = await faultUpstream({ auth: { ...bearer, ...auth } as Auth });
  const { layers } = upstream.content.seed({ repo: REPO, tag: "v1" });
  for (const repo of ["team/other", "bob/app"]) upstream.content.seed({ repo, tag: "v1" });
  const front = await startFront(upstream, site);
  if (isHeard) await front.ask("/v2/");
  const path = `/v2/${REPO}/blobs/${layers[0]!.digest}`;
  const exchange = (target = tokenPath(), headers: Record<string, string> = ANN) => front.ask(target, { headers });
  const post = (form: Record<string, string>, headers: Record<string, string> = {}) =>
    front.ask("/token", {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
      body: Buffer.from(new URLSearchParams(form).toString()),
    });
  const pull = async (headers: Record<string, string>) => (await front.ask(path, { headers })).status;
  /** How many questions pulling with this costs upstream, when Ann has just pulled. */
  const cost = async (headers: { authorization: string }): Promise<number> => {
    const isAsked = (one: Logged) => BLOBS.test(one.path) && one.headers.authorization === headers.authorization;
    const before = upstream.count(isAsked);
    expect(await pull(headers)).toBe(200);
    return upstream.count(isAsked) - before;
  };
  const annPulls = async () => expect(await pull(bearerIn((await exchange()).body))).toBe(200);
  return { upstream, front, exchange, post, pull, cost, annPulls, path };
};

const spoiling = async (behaviour: Behaviour, upstream: FaultUpstream) => upstream.fault(/^\/token/, behaviour, 1);
/** What the next answer is before anything else is done to it. */
const seen = async (upstream: FaultUpstream): Promise<() => Buffer> => {
  let content: Buffer | undefined;
  await spoiling(({ answer }) => {
    content = answer.content;
  }, upstream);
  return () => content!;
};
const twice: Behaviour = ({ answer }) => {
  answer.content = Buffer.concat([answer.content, answer.content]);
};
const packed =
  (encoding: string, pack: (bytes: Buffer) => Buffer): Behaviour =>
  ({ answer }) => {
    answer.content = pack(answer.content);
    answer.headers["content-encoding"] = encoding;
  };
const field =
  (change: (answer: Record<string, unknown>) => object): Behaviour =>
  ({ answer }) => {
    answer.content = Buffer.from(JSON.stringify(change(JSON.parse(answer.content.toString()) as Record<string, unknown>)));
  };

describe("a token that changes with every pull", () => {
  it("costs one question per grantFor, and in an outage of the registry alone pulls what is held", async () => {
    const { upstream, exchange, annPulls, cost, pull } = await world();
    await annPulls();
    for (let i = 0; i < 3; i += 1) expect(await cost(bearerIn((await exchange()).body))).toBe(0);
    upstream.fault(/^\/v2\//, status(503));
    expect(await pull(bearerIn((await exchange()).body))).toBe(200);
  });

  it("is asked about again once grantFor is over, and pulls still while the registry is away", async () => {
    const { upstream, exchange, annPulls, cost, pull } = await world({}, { grantFor: "0s" });
    await annPulls();
    expect(await cost(bearerIn((await exchange()).body))).toBe(1);
    upstream.fault(/^\/v2\//, status(503));
    expect(await pull(bearerIn((await exchange()).body))).toBe(200);
  });

  it("may be in either field, for several repositories, packed, or come of a form", async () => {
    const { upstream, exchange, post, annPulls, cost } = await world();
    await annPulls();
    expect(await cost(bearerIn((await exchange(tokenPath(`${scopeOf("team/other")} ${scopeOf()}`))).body))).toBe(0);
    expect(await cost(bearerIn((await exchange(`${tokenPath()}&scope=${scopeOf("team/other")}`)).body))).toBe(0);
    expect(await cost(bearerIn((await exchange(tokenPath(scopeOf(REPO, "pull,push")))).body))).toBe(0);
    const unpacked = (await exchange()).body;
    expect(await cost(bearerIn(unpacked))).toBe(0);
    for (const [encoding, pack] of [
      ["gzip", gzipSync],
      ["deflate", deflateSync],
      ["br", brotliCompressSync],
    ] as const) {
      const plain = await seen(upstream);
      await spoiling(packed(encoding, pack), upstream);
      const { body, headers } = await exchange();
      expect(headers["content-encoding"]).toBe(encoding);
      expect(body).toEqual(pack(plain()));
      expect(await cost(bearerIn(plain()))).toBe(0);
    }
    await spoiling(
      field(({ token }) => ({ access_token: token })),
      upstream,
    );
    expect(await cost(bearerIn((await exchange()).body))).toBe(0);
    const form = { grant_type: "password", service: SERVICE, scope: scopeOf(), username: "ann", password: "ann's" };
    // the scripted server knows users by Basic alone: here it is told who asks
    const mint = (await exchange()).body;
    await spoiling(({ answer }) => void Object.assign(answer, { status: 200, content: mint }), upstream);
    expect(await cost(bearerIn((await post(form)).body))).toBe(0);
  });
});

/** Each is a token of Ann's that may pull; nothing is known of it, so that upstream is asked. */
type Get = (w: Awaited<ReturnType<typeof world>>) => Promise<Buffer>;
const UNKNOWN: Record<string, Get> = {
  "at a path that only looks like it": async ({ upstream, front, exchange }) => {
    const mint = (await front.ask("/v2/", { headers: ANN })) && (await minted(upstream));
    upstream.fault(
      /^\/(tokens|token\/|%74oken|Token)/,
      ({ answer }) => void Object.assign(answer, { status: 200, content: mint }),
    );
    for (const path of ["/tokens", "/token/", "/%74oken", "/Token"]) await exchange(tokenPath(scopeOf(), SERVICE, path));
    return mint;
  },
  "for another service": async ({ exchange }) => (await exchange(tokenPath(scopeOf(), "another.example"))).body,
  "for no service": async ({ exchange }) => (await exchange(`/token?scope=${scopeOf()}`)).body,
  "with two services": async ({ exchange }) => (await exchange(`${tokenPath()}&service=${SERVICE}`)).body,
  "torn on its way": async ({ upstream, exchange }) => {
    const plain = await seen(upstream);
    await spoiling(cutAt(60), upstream);
    expect((await exchange()).whole).toBe(false);
    return plain();
  },
  "in too long an answer": async ({ upstream, exchange }) => {
    await spoiling(
      field((answer) => ({ ...answer, padding: "x".repeat(64 * 1024) })),
      upstream,
    );
    return (await exchange()).body;
  },
  "in an answer that unpacks to too much": async ({ upstream, exchange }) => {
    const plain = await seen(upstream);
    await spoiling(
      field((answer) => ({ ...answer, padding: "x".repeat(1024 * 1024) })),
      upstream,
    );
    await spoiling(packed("gzip", gzipSync), upstream);
    expect((await exchange()).status).toBe(200);
    return plain();
  },
  "in what is no JSON": async ({ upstream, exchange }) => {
    const plain = await seen(upstream);
    await spoiling(twice, upstream);
    await exchange();
    return plain();
  },
  "packed in a way that is not what it says": async ({ upstream, exchange }) => {
    const plain = await seen(upstream);
    await spoiling(header("content-encoding", "gzip"), upstream);
    await exchange();
    return plain();
  },
  "beside another one": async ({ upstream, exchange }) => {
    await spoiling(
      field((answer) => ({ ...answer, access_token: "another" })),
      upstream,
    );
    return (await exchange()).body;
  },
  "in answer to a HEAD": async ({ upstream, front }) => {
    const plain = await seen(upstream);
    await front.ask(tokenPath(), { method: "HEAD", headers: ANN });
    return plain();
  },
  "with a redirect": async ({ upstream, exchange }) => {
    const plain = await seen(upstream);
    await spoiling(redirectTo("/elsewhere"), upstream);
    expect((await exchange()).status).toBe(307);
    return plain();
  },
  "with a 401": async ({ upstream, exchange }) => {
    const mint = await minted(upstream);
    await spoiling(({ answer }) => void Object.assign(answer, { content: mint }), upstream);
    expect((await exchange(tokenPath(), basic("ann", "wrong"))).status).toBe(401);
    return mint;
  },
  ...Object.fromEntries(
    [201, 302, 401, 403, 500].map((code): [string, Get] => [
      `with a ${code} to the right password`,
      async ({ upstream, exchange }) => {
        const mint = await minted(upstream);
        await spoiling(({ answer }) => void Object.assign(answer, { status: code, content: mint }), upstream);
        expect(await exchange()).toMatchObject({ status: code, body: mint });
        return mint;
      },
    ]),
  ),
  "of a form with two names": async ({ upstream, post, front }) => {
    const mint = await minted(upstream);
    upstream.fault(/^\/token/, ({ answer }) => void Object.assign(answer, { status: 200, content: mint }));
    const form = { grant_type: "password", service: SERVICE, scope: scopeOf(), username: "ann", password: "ann's" };
    await post({ ...form, password: "" });
    await post(form, { "content-type": "application/json" });
    await post(form, basic("bob", "bob's"));
    await front.ask("/token", {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: Buffer.from(`${new URLSearchParams(form).toString()}&username=bob`),
    });
    return mint;
  },
};

/** A token of Ann's, got past us. */
const minted = async (upstream: FaultUpstream): Promise<Buffer> => {
  const answer = await fetch(new URL(tokenPath(), upstream.url), { headers: ANN });
  return Buffer.from(await answer.arrayBuffer());
};

describe("nothing is known of a token", () => {
  it.each(Object.entries(UNKNOWN))("%s", async (_name, get) => {
    const all = await world();
    await all.annPulls();
    expect(await all.cost(bearerIn(await get(all)))).toBe(1);
  });

  it("got before anybody has heard where tokens come from, or before a restart", async () => {
    const { front, exchange, annPulls, cost } = await world({}, {}, false);
    const early = bearerIn((await exchange()).body);
    // the 401 that every client of such a registry begins with, whichever way it reads
    expect((await front.ask(`/v2/${REPO}/manifests/v1`)).status).toBe(401);
    await annPulls();
    expect(await cost(early)).toBe(1);
    await front.ask("/v2/");
    const late = bearerIn((await exchange()).body);
    expect(await cost(late)).toBe(0);
    await front.stop();
    await front.start();
    expect(await cost(late)).toBe(1);
    expect(await cost(bearerIn((await exchange()).body))).toBe(0);
  });
});

describe("a realm under the name of another site of ours", () => {
  it("tells whose a token is, which then is nobody's at that other site", async () => {
    const [users, owners] = [{ ann: "ann's" }, { [REPO]: "ann" }];
    const upstream = await faultUpstream({ auth: { kind: "bearer", realm: "https://auth.test/token", users, owners } });
    const { layers } = upstream.content.seed({ repo: REPO, tag: "v1" });
    const front = new Front(upstream.url.origin, {}, { "auth.test": { upstream: upstream.url.origin } });
    await front.start();
    await front.ask("/v2/");
    const path = `/v2/${REPO}/blobs/${layers[0]!.digest}`;
    const exchange = async () => bearerIn((await front.ask(tokenPath(), { headers: ANN, host: "auth.test" })).body);
    expect((await front.ask(path, { headers: await exchange() })).status).toBe(200);
    upstream.fault(/^\/v2\//, status(503));
    const headers = await exchange();
    expect((await front.ask(path, { headers })).status).toBe(200);
    expect((await front.ask(path, { headers, host: "auth.test" })).status).toBe(503);
    // under our own name there is no realm, whoever answers there
    const elsewhere = bearerIn((await front.ask(tokenPath(), { headers: ANN })).body);
    expect((await front.ask(path, { headers: elsewhere })).status).toBe(503);
  });
});

describe("two at once", () => {
  it("are each whom they have shown to be, whatever order the answers come in", async () => {
    const { exchange, annPulls, upstream, pull } = await world();
    await annPulls();
    upstream.fault(/^\/token/, ({ answer }) => {
      answer.before = new Promise((resolve) => setTimeout(resolve, Math.random() * 40));
    });
    const users = Array.from({ length: 16 }, (_, n) => (n % 2 === 0 ? ANN : basic("bob", "bob's")));
    const tokens = await Promise.all(users.map(async (headers) => bearerIn((await exchange(tokenPath(), headers)).body)));
    const came = await Promise.all(tokens.map(pull));
    expect(came).toEqual(users.map((one) => (one === ANN ? 200 : 401)));
  });
});

describe("what a site needs to know of its realm", () => {
  it("is kept over a restart though no client ever asks GET /v2/", async () => {
    const { upstream, front, exchange, annPulls, pull, path } = await world({}, {}, false);
    expect((await front.ask(path)).status).toBe(401);
    await annPulls();
    await expect.poll(() => upstream.count(/^\/v2\/$/)).toBe(1);
    await front.stop();
    await front.start();
    upstream.fault(/^\/v2\//, status(503));
    expect(await pull(bearerIn((await exchange()).body))).toBe(200);
    expect(await pull(bearerIn((await exchange(tokenPath(), basic("bob", "bob's"))).body))).toBe(503);
  });

  it("lets a form through to it where nobody may write", async () => {
    const { post } = await world({}, { readOnly: true });
    expect((await post({ grant_type: "refresh_token", refresh_token: "none", service: SERVICE })).status).toBe(400);
    const { front } = await world({}, { readOnly: true });
    expect((await front.ask("/elsewhere", { method: "POST" })).status).toBe(405);
  });
});

describe("nobody gets what is not theirs", () => {
  it("by another's name and a wrong password", async () => {
    const { exchange, annPulls, pull } = await world();
    await annPulls();
    const { status: code, body } = await exchange(tokenPath(), basic("ann", "guess"));
    expect(code).toBe(401);
    expect(await pull({ authorization: `Bearer ${body.toString("base64")}` })).toBe(401);
    expect(await pull(basic("ann", "guess"))).toBe(401);
  });

  it("by a token of their own, for whatever it was asked", async () => {
    const { exchange, annPulls, pull } = await world();
    await annPulls();
    for (const scope of [scopeOf(), scopeOf("bob/app"), `${scopeOf("bob/app")} ${scopeOf()}`])
      expect(await pull(bearerIn((await exchange(tokenPath(scope), basic("bob", "bob's"))).body))).toBe(401);
    expect(await pull(bearerIn((await exchange(tokenPath(), {})).body))).toBe(401);
  });

  it("by a token of Ann's that is for another repository, or another action", async () => {
    const { exchange, annPulls, pull } = await world();
    await annPulls();
    for (const scope of [
      scopeOf("team/other"),
      scopeOf(REPO, "push"),
      `repository(plugin):${REPO}:pull`,
      "registry:catalog:*",
      REPO,
    ])
      expect({ scope, status: await pull(bearerIn((await exchange(tokenPath(scope))).body)) }).toEqual({ scope, status: 401 });
  });

  it("by a token that itself says it is for less, or whose server does", async () => {
    const { upstream, exchange, annPulls, cost, pull } = await world();
    await annPulls();
    await spoiling(
      field((answer) => ({ ...answer, scope: scopeOf("team/other") })),
      upstream,
    );
    expect(await cost(bearerIn((await exchange()).body))).toBe(1);
    const claims = { access: [{ type: "repository", name: "team/other", actions: ["pull"] }] };
    const jwt = `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.AA`;
    await spoiling(
      field((answer) => ({ ...answer, token: jwt })),
      upstream,
    );
    expect(await pull(bearerIn((await exchange()).body))).toBe(401);
  });

  it("longer than grantFor after their right is gone, with any token", async () => {
    const { upstream, exchange, annPulls, pull, cost } = await world({}, { grantFor: "1s" });
    await annPulls();
    const late = bearerIn((await exchange()).body);
    expect(await cost(late)).toBe(0);
    upstream.gate.revokeTokens();
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect(await pull(late)).toBe(401);
    const fresh = bearerIn((await exchange()).body);
    // the no was to Ann
    expect(await cost(fresh)).toBe(1);
  });
});

describe("whatever a token server says", () => {
  it("is given on as it came, and is noted only where it is understood", async () => {
    const { upstream, exchange, annPulls, pull } = await world();
    await annPulls();
    let content = Buffer.alloc(0);
    let headers: Record<string, string> = {};
    upstream.fault(/^\/token/, ({ answer }) => void Object.assign(answer, { content, headers: { ...headers } }));
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)),
      fc.json().map((json) => Buffer.from(json)),
      fc
        .dictionary(fc.constantFrom("token", "access_token", "expires_in", "scope"), fc.jsonValue())
        .map((value) => Buffer.from(JSON.stringify(value))),
    );
    await fc.assert(
      fc.asyncProperty(bytes, fc.constantFrom("", "gzip", "br", "deflate", "zstd", "gzip, br"), async (body, encoding) => {
        content = body;
        headers = encoding === "" ? {} : { "content-encoding": encoding };
        expect((await exchange()).body).toEqual(body);
      }),
      { numRuns: 60 },
    );
    expect(await pull({ authorization: "Bearer undefined" })).toBe(401);
    expect(await pull({ authorization: "Bearer null" })).toBe(401);
  });
});
