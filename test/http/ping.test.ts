// `GET /v2/` and `docker login` in each kind of outage. The tables are total: what is left out of one does not compile.
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { pingDoor } from "../../src/http/ping.ts";
import { memoryFacts } from "../../src/store/memory-facts.ts";
import type { Auth } from "../faults/auth.ts";
import { status } from "../faults/behaviours.ts";
import { type FaultUpstream, faultUpstream } from "../faults/upstream.ts";
import { stack } from "../registry/stack.ts";
import { get, openTestDoor } from "./door.ts";
import { siteDoor } from "./site-door.ts";

type Outage = "none" | "500" | "429" | "realm" | "away" | "silent";
const OUTAGES: Record<Outage, (upstream: FaultUpstream) => unknown> = {
  none: () => undefined,
  500: (upstream) => upstream.fault(/^\/v2\//, status(500)),
  429: (upstream) => upstream.fault(/^\/v2\//, status(429)),
  // the token server alone
  realm: (upstream) => upstream.fault(/^\/token/, status(503)),
  away: (upstream) => upstream.stop(),
  silent: (upstream) => upstream.freeze(),
};

const accounts = { users: { ann: "pw", bob: "pw" }, owners: { "ann/app": "ann" } };
const AUTHS = { bearer: { kind: "bearer", ...accounts }, basic: { kind: "basic", ...accounts }, open: { kind: "none" } } as const;
type Site = keyof typeof AUTHS;

/** By nobody, by podman without a login, by one who has pulled here, and by one who never has (by Basic: with a wrong password). */
type Who = "nobody" | "podman" | "known" | "unknown";
/** `in`: the login is taken to be good. `no`: it is refused. `out`: it cannot be checked. */
type Login = "good" | "wrong";
type Row<T> = Record<Outage, T>;

const row = <T>(...[none, fails, limits, realm, away, silent]: [T, T, T, T, T, T]): Row<T> => ({
  none,
  500: fails,
  429: limits,
  realm,
  away,
  silent,
});

/** The status of `GET /v2/`. */
const PINGS: Record<Site, Record<Who, Row<200 | 401 | 503>>> = {
  //                     none 500  429  realm away silent
  bearer: {
    nobody: row(401, 401, 401, 401, 200, 200),
    podman: row(401, 401, 401, 401, 200, 200),
    known: row(200, 200, 200, 200, 200, 200),
    unknown: row(200, 200, 200, 200, 503, 503),
  },
  basic: {
    nobody: row(401, 401, 401, 401, 401, 401),
    podman: row(401, 401, 401, 401, 401, 401),
    known: row(200, 200, 200, 200, 200, 200),
    unknown: row(401, 503, 503, 401, 503, 503),
  },
  open: {
    nobody: row(200, 200, 200, 200, 200, 200),
    podman: row(200, 200, 200, 200, 200, 200),
    known: row(200, 200, 200, 200, 200, 200),
    unknown: row(200, 200, 200, 200, 200, 200),
  },
};

/** What `docker login` says. Where nobody can be asked a bearer site lets it pass: it is no right to anything. */
const LOGINS: Record<Site, Record<Login, Row<"in" | "no" | "out">>> = {
  bearer: {
    good: row("in", "in", "in", "out", "in", "in"),
    wrong: row("no", "no", "no", "out", "in", "in"),
  },
  basic: {
    good: row("in", "in", "in", "in", "in", "in"),
    wrong: row("no", "out", "out", "no", "out", "out"),
  },
  open: {
    good: row("in", "in", "in", "in", "in", "in"),
    wrong: row("in", "in", "in", "in", "in", "in"),
  },
};

const basic = (login: string) => `Basic ${Buffer.from(login).toString("base64")}`;

const world = async (auth: Auth) => {
  const upstream = await faultUpstream({ auth });
  upstream.content.seed({ repo: "ann/app", tag: "v1" });
  const door = await siteDoor(upstream);
  const ping = async (authorization?: string) => {
    const headers = authorization === undefined ? {} : { authorization };
    const { status: code, headers: answer } = await door.ask("/v2/", { headers });
    return { status: code, challenge: answer["www-authenticate"] };
  };
  /** As clients ask a realm: it is under no name of ours. */
  const token = async (realm: string, login: string, scope = "") => {
    const answer = await fetch(`${realm}?service=fault.example${scope}`, { headers: { authorization: basic(login) } });
    return { status: answer.status, bearer: `Bearer ${((await answer.json()) as { token?: string }).token}` };
  };
  const login = async (who: string) => {
    const { status: code, challenge = "" } = await ping();
    if (code === 200) return "in";
    const [, realm] = /^Bearer realm="([^"]+)"/.exec(challenge) ?? [];
    const given = realm === undefined ? { status: 200, bearer: basic(who) } : await token(realm, who);
    if (given.status !== 200) return given.status === 401 ? "no" : "out";
    const { status: after } = await ping(given.bearer);
    return after === 200 ? "in" : after === 401 ? "no" : "out";
  };
  const credential = async (user: string, password: string) => {
    if (auth.kind !== "bearer") return basic(`${user}:${password}`);
    return (await token(`${upstream.url.origin}/token`, `${user}:pw`, `&scope=repository:${user}/app:pull`)).bearer;
  };
  const who: Record<Who, string | undefined> = {
    nobody: undefined,
    podman: "Basic Og==",
    known: await credential("ann", "pw"),
    unknown: await credential("bob", "wrong"),
  };
  await ping();
  const pulled = await door.ask("/v2/ann/app/manifests/v1", { headers: { authorization: who.known! } });
  expect(pulled.status).toBe(200);
  return { upstream, ping, login, who };
};

const SITES = Object.keys(AUTHS) as Site[];

describe("while the token server alone is away, for sure, GET /v2/", () => {
  const asked = async (realm: "there" | "gone", isAnyPublic: boolean, authorization?: string, challenge = BEARER) => {
    const { site, rights } = stack();
    const door = await openTestDoor(
      pingDoor({
        site,
        ask: () => Promise.resolve({ status: 401, challenges: [challenge], contentType: undefined, body: "" }),
        realmAnswers: () => Promise.resolve(true),
        realmIsGone: () => Promise.resolve(realm === "gone"),
        facts: memoryFacts(),
        rights: { ...rights, anyPublic: () => Promise.resolve(isAnyPublic) },
        health: { up: true, answersPings: true, late: () => undefined },
        clock: Date.now,
      }),
      false,
    );
    const socket = await door.connect();
    // under any path: on our own name `/v2/` is the mirror door's
    socket.write(get("/", authorization === undefined ? {} : { headers: `authorization: ${authorization}\r\n` }));
    const [head] = (await once(socket, "data")) as [Buffer];
    return Number(head.toString().split(" ")[1]);
  };
  const BEARER = 'Bearer realm="https://auth.test/token"';

  it("lets nobody in to what is public, and is upstream's own answer otherwise", async () => {
    expect(await asked("gone", true)).toBe(200);
    expect(await asked("gone", true, "Basic Og==")).toBe(200);
    expect(await asked("gone", true, "Bearer none")).toBe(401);
    expect(await asked("gone", true, undefined, 'Basic realm="x"')).toBe(401);
    expect(await asked("gone", false)).toBe(401);
    expect(await asked("there", true)).toBe(401);
  });
});

describe.each(Object.keys(OUTAGES) as Outage[])("in an outage (%s)", (outage) => {
  it.each(SITES)("GET /v2/ of a site that asks everybody by %s, and docker login", async (site) => {
    const { upstream, ping, login, who } = await world(AUTHS[site]);
    const challenge = (await ping()).challenge;
    await OUTAGES[outage](upstream);
    const answers = await Promise.all(
      (Object.keys(who) as Who[]).map(async (one) => {
        const answer = await ping(who[one]);
        // from memory, word for word
        if (answer.status === 401 && one === "nobody") expect(answer.challenge).toBe(challenge);
        return [one, answer.status];
      }),
    );
    const want = (Object.keys(who) as Who[]).map((one) => [one, PINGS[site][one][outage]]);
    expect(Object.fromEntries(answers)).toEqual(Object.fromEntries(want));
    expect({ good: await login("ann:pw"), wrong: await login("ann:no") }).toEqual({
      good: LOGINS[site].good[outage],
      wrong: LOGINS[site].wrong[outage],
    });
  });
});
