// Who may read what, how, with what right, of what is held or not, while upstream does what: each cell says what must come back.
// The tables are total: what is left out of one does not compile.
import { describe, expect, it } from "vitest";
import { hide404, status } from "../faults/behaviours.ts";
import type { Image } from "../faults/content.ts";
import { type FaultUpstream, faultUpstream } from "../faults/upstream.ts";
import type { Answer } from "../front.ts";
import { HOUR, MINUTE } from "../registry/stack.ts";
import { OWN, SITE, siteDoor } from "./site-door.ts";

/** `ok`: the thing itself. `stale`: that, with a warning. Numbers are refusals; `out`: upstream cannot be asked. */
type Outcome = "ok" | "stale" | "401" | "403" | "404" | "429" | "out";

/** What upstream does to whoever asks, while its token server gives tokens as ever. */
type Upstream = "up" | "hides" | "401" | "403" | "404" | "429" | "500" | "away";
const UPSTREAM: Record<Upstream, (upstream: FaultUpstream) => unknown> = {
  up: () => undefined,
  // what one may not see, once one has shown who one is
  hides: (upstream) => upstream.fault(READS, (spoiling) => spoiling.request.hasAuthorization && hide404(spoiling)),
  401: (upstream) => upstream.fault(READS, status(401, { "www-authenticate": `Bearer realm="${upstream.url.origin}/token"` })),
  403: (upstream) => upstream.fault(READS, status(403)),
  404: (upstream) => upstream.fault(READS, status(404)),
  429: (upstream) => upstream.fault(READS, status(429, { "retry-after": "30" })),
  500: (upstream) => upstream.fault(READS, status(500)),
  away: (upstream) => upstream.stop(),
};
const READS = /^\/v2\//;

/** Of which repository, by whom; what upstream says to him, and what to anybody with an anonymous token. */
interface Asker {
  readonly repo: "ann/app" | "open/app";
  readonly user: "ann" | "bob" | undefined;
  /** In place of a token. */
  readonly shows?: string;
  readonly says: Outcome;
  readonly anybody: Outcome;
}
const WHO = {
  "its owner": { repo: "ann/app", user: "ann", says: "ok", anybody: "401" },
  "another user, who was let in once or never": { repo: "ann/app", user: "bob", says: "401", anybody: "401" },
  "nobody, of what is private": { repo: "ann/app", user: undefined, says: "401", anybody: "401" },
  "another user, of what is public": { repo: "open/app", user: "bob", says: "ok", anybody: "ok" },
  "nobody, of what is public": { repo: "open/app", user: undefined, says: "401", anybody: "ok" },
  "podman without a login, of what is public": {
    repo: "open/app",
    user: undefined,
    shows: "Basic Og==",
    says: "401",
    anybody: "ok",
  },
} satisfies Record<string, Asker>;
type Who = keyof typeof WHO;
const asker = (who: Who): Asker => WHO[who];

/** What upstream has said before: to him, or where it is public or he has no credential to anybody. `expired` is within staleAccess. */
type Right = "live" | "expired" | "over" | "none";
const RIGHTS: Record<Right, { ago: number; lifetime: number } | undefined> = {
  live: { ago: MINUTE, lifetime: 5 * MINUTE },
  expired: { ago: 23 * HOUR, lifetime: 5 * MINUTE },
  over: { ago: 25 * HOUR, lifetime: 5 * MINUTE },
  none: undefined,
};

/** `kept`: nothing about it changes. `checked`: nor this, but who may push is told what upstream has. `moving`: upstream's word is wanted. */
type Kind = "kept" | "checked" | "moving";
type Way = keyof typeof WAYS;
const WAYS = {
  "GET a fresh tag": { kind: "kept", path: () => "manifests/fresh" },
  "GET a stale tag": { kind: "moving", path: () => "manifests/stale" },
  "GET a manifest": { kind: "kept", path: ({ top }: Image) => `manifests/${top.digest}` },
  "GET a blob": { kind: "kept", path: ({ layers }: Image) => `blobs/${layers[0]!.digest}` },
  "GET a range": { kind: "kept", path: ({ layers }: Image) => `blobs/${layers[0]!.digest}` },
  "GET tags": { kind: "moving", path: () => "tags/list" },
  "GET referrers": { kind: "moving", path: ({ top }: Image) => `referrers/${top.digest}` },
  "HEAD a fresh tag": { kind: "checked", path: () => "manifests/fresh" },
  "HEAD a stale tag": { kind: "moving", path: () => "manifests/stale" },
  "HEAD a manifest": { kind: "checked", path: ({ top }: Image) => `manifests/${top.digest}` },
  "HEAD a blob": { kind: "checked", path: ({ layers }: Image) => `blobs/${layers[0]!.digest}` },
} as const satisfies Record<string, { kind: Kind; path: (image: Image) => string }>;

type Row = Record<Upstream, Outcome | "says">;
const row = (text: string): Row => {
  const columns: readonly Upstream[] = ["up", "hides", "401", "403", "404", "429", "500", "away"];
  const outcomes = text.trim().split(/\s+/);
  expect(outcomes).toHaveLength(columns.length);
  return Object.fromEntries(columns.map((column, at) => [column, outcomes[at]])) as Row;
};

/** `says`: what upstream says to whom it is asked for. */
const ASKED = row("   says says 401 403 404 429   out   out  ");
const HELD: Record<Right, Record<Kind, Row>> = {
  live: {
    kept: row("        ok   ok   ok  ok  ok  ok    ok    ok   "),
    checked: row("     says says 401 403 404 ok    ok    ok   "),
    moving: row("      says says 401 403 404 stale stale stale"),
  },
  expired: {
    kept: row("        says says 401 403 404 stale stale stale"),
    checked: row("     says says 401 403 404 stale stale stale"),
    moving: row("      says says 401 403 404 stale stale stale"),
  },
  over: { kept: ASKED, checked: ASKED, moving: ASKED },
  none: { kept: ASKED, checked: ASKED, moving: ASKED },
};

interface Cell {
  readonly who: Who;
  readonly right: Right;
  readonly isHeld: boolean;
  readonly way: Way;
}

const expected = ({ who, right, isHeld, way }: Cell, upstream: Upstream): Outcome => {
  const { says, anybody, user } = asker(who);
  // nobody pushes without a login, so that a HEAD of his is a reader's
  const kind = user === undefined && WAYS[way].kind === "checked" && way !== "HEAD a blob" ? "kept" : WAYS[way].kind;
  const outcome = (isHeld ? HELD[right][kind] : ASKED)[upstream];
  if (outcome !== "says") return outcome;
  // where it is known to be public he is spared the token, but for what is counted on somebody's account
  const isSpared = user === undefined && (right === "live" || right === "expired") && (isHeld || !isFetched(way));
  if (isSpared) return anybody;
  return upstream === "hides" && user !== undefined && says === "401" ? "404" : says;
};

const isFetched = (way: Way): boolean => /^GET (a|an) /.test(way);

const cells: readonly Cell[] = keysOf(WHO).flatMap((who) =>
  keysOf(RIGHTS).flatMap((right) =>
    [true, false].flatMap((isHeld) => keysOf(WAYS).map((way): Cell => ({ who, right, isHeld, way }))),
  ),
);

function keysOf<K extends string>(table: Record<K, unknown>): readonly K[] {
  return Object.keys(table) as K[];
}

const OWNERS = { "ann/app": "ann" };

const world = async () => {
  const owners: Record<string, string> = { ...OWNERS };
  const upstream = await faultUpstream({ auth: { kind: "bearer", users: { ann: "pw", bob: "pw" }, owners } });
  const rules = [
    { match: "**:fresh", freshFor: "1h" },
    { match: "**", freshFor: "0s" },
  ];
  const door = await siteDoor(upstream, { rules });
  const seed = (repo: string): Image => {
    const image = upstream.content.seed({ repo, tag: "fresh", layers: [Buffer.from(`a layer of ${repo}`)], index: true });
    upstream.content.moveTag(repo, "stale", image.top.digest);
    return image;
  };
  const token = async (user: string, repo: string) => {
    const url = new URL(`/token?service=fault.example&scope=repository:${repo}:pull`, upstream.url);
    const headers = { authorization: `Basic ${Buffer.from(`${user}:pw`).toString("base64")}` };
    return `Bearer ${((await (await fetch(url, { headers })).json()) as { token: string }).token}`;
  };
  await door.ask("/v2/");
  return { upstream, door, owners, seed, token };
};
type World = Awaited<ReturnType<typeof world>>;

/** All that is asked of one repository of each kind, which is held whole; and a repository that nobody has asked for to each other cell. */
const prepared = async ({ upstream, door, owners, seed, token }: World) => {
  const held: Record<string, Image> = {};
  const tokens: Record<string, string | undefined> = {};
  for (const repo of ["ann/app", "open/app"]) {
    held[repo] = seed(repo);
    for (const user of ["ann", "bob"]) tokens[`${user} ${repo}`] = await token(user, repo);
    const headers = { authorization: tokens[`ann ${repo}`]! };
    for (const [way, { path }] of Object.entries(WAYS))
      expect({ way, ...(await door.ask(`/v2/${repo}/${path(held[repo])}`, { headers })) }).toMatchObject({ status: 200 });
  }
  // whether they are public has been found out: of the private one without a token and with anybody's, of the other without one
  await expect.poll(() => upstream.count(({ status: code }) => code === 401)).toBe(1 + 2 + 1);
  let nth = 0;
  return async (cell: Cell) => {
    const { repo: like, user } = asker(cell.who);
    if (cell.isHeld) return { repo: like, image: held[like]!, credential: tokens[`${user} ${like}`] };
    nth += 1;
    const repo = like.replace("app", `cold${nth}`);
    if (like.startsWith("ann/")) owners[repo] = "ann";
    return { repo, image: seed(repo), credential: user === undefined ? undefined : await token(user, repo) };
  };
};

const outcomeOf = ({ status: code, headers, whole }: Answer): Outcome | "?" => {
  const isStale = headers["x-cache"] === "STALE";
  const isSaid = headers["warning"] === '110 layover "Response is Stale"' && /^\d+$/.test(headers["age"] ?? "");
  if (!whole || isStale !== isSaid) return "?";
  if (code === 200 || code === 206) return isStale ? "stale" : "ok";
  const isChallenge = headers["www-authenticate"]?.startsWith("Bearer realm=") === true;
  if (isChallenge !== (code === 401)) return "?";
  return code >= 500 ? "out" : (String(code) as Outcome);
};

/** What the client got, and whether it is what it should be: a refusal has nothing of the thing. */
const asked = async (
  { door }: World,
  { who, way }: Cell,
  path: string,
  credential: string | undefined,
  image: Image,
  host = SITE,
) => {
  const { shows = credential } = asker(who);
  const headers = {
    ...(shows !== undefined && { authorization: shows }),
    ...(way === "GET a range" && { range: "bytes=2-5" }),
  };
  const answer = await door.ask(path, { method: way.split(" ")[0]!, headers, host });
  const outcome = outcomeOf(answer);
  const bytes = answer.body.toString();
  const isServed = outcome === "ok" || outcome === "stale";
  const wanted: Partial<Record<Way, string>> = {
    "GET a fresh tag": image.top.bytes.toString(),
    "GET a stale tag": image.top.bytes.toString(),
    "GET a manifest": image.top.bytes.toString(),
    "GET a blob": image.layers[0]!.bytes.toString(),
    "GET a range": image.layers[0]!.bytes.toString().slice(2, 6),
  };
  if (way.startsWith("HEAD")) expect(bytes).toBe("");
  else if (!isServed) expect(bytes).not.toMatch(/a layer of|sha256|layers|fresh/);
  else if (wanted[way] !== undefined) expect(bytes).toBe(wanted[way]);
  else expect(bytes).toMatch(/"tags":\["fresh","stale"\]|"manifests":\[\]/);
  return outcome;
};

describe("while upstream is, or says,", () => {
  it.each(keysOf(UPSTREAM))("%s", { timeout: 60_000 }, async (state) => {
    const made = await world();
    const placeOf = await prepared(made);
    const places = [];
    for (const cell of cells) places.push({ cell, ...(await placeOf(cell)) });
    await UPSTREAM[state](made.upstream);
    const wrong = [];
    for (const { cell, repo, image, credential } of places) {
      const { door } = made;
      const subject = asker(cell.who).repo.startsWith("open/") ? undefined : credential;
      const right = RIGHTS[cell.right];
      for (const whose of new Set([undefined, credential])) await door.forget(repo, whose);
      if (right !== undefined) door.grant(repo, subject, right.ago, right.lifetime);
      const got = await asked(made, cell, `/v2/${repo}/${WAYS[cell.way].path(image)}`, credential, image);
      const want = expected(cell, state);
      if (got !== want)
        wrong.push(`${cell.who}; ${cell.right}; ${cell.isHeld ? "held" : "not held"}; ${cell.way}: ${got}, not ${want}`);
    }
    expect(wrong).toEqual([]);
  });
});

/** By Layover's own name whoever asks is anybody, whatever he shows, and a refusal is a 404. */
const expectedOfMirror = (cell: Cell, upstream: Upstream): Outcome => {
  const isOpen = asker(cell.who).anybody === "ok";
  const kind = WAYS[cell.way].kind === "checked" && cell.way !== "HEAD a blob" ? "kept" : WAYS[cell.way].kind;
  const right = isOpen ? cell.right : "none";
  const outcome = (cell.isHeld ? HELD[right][kind] : ASKED)[upstream];
  const said = outcome === "says" ? (isOpen ? "ok" : "404") : outcome;
  return said === "401" || said === "403" ? "404" : said;
};

describe("by Layover's own name, while upstream is, or says,", () => {
  it.each(keysOf(UPSTREAM))("%s", { timeout: 60_000 }, async (state) => {
    const made = await world();
    const placeOf = await prepared(made);
    const places = [];
    for (const cell of cells) places.push({ cell, ...(await placeOf(cell)) });
    await UPSTREAM[state](made.upstream);
    made.upstream.clear();
    const wrong = [];
    for (const { cell, repo, image, credential } of places) {
      const { door } = made;
      const right = RIGHTS[cell.right];
      for (const whose of new Set([undefined, credential])) await door.forget(repo, whose);
      const subject = asker(cell.who).anybody === "ok" ? undefined : credential;
      if (right !== undefined && (subject !== undefined || asker(cell.who).anybody === "ok"))
        door.grant(repo, subject, right.ago, right.lifetime);
      const got = await asked(made, cell, `/v2/${SITE}/${repo}/${WAYS[cell.way].path(image)}`, credential, image, OWN);
      const want = expectedOfMirror(cell, state);
      if (got !== want)
        wrong.push(`${cell.who}; ${cell.right}; ${cell.isHeld ? "held" : "not held"}; ${cell.way}: ${got}, not ${want}`);
    }
    expect(wrong).toEqual([]);
    // no password has gone to a token server
    expect(made.upstream.log.filter(({ path, hasAuthorization }) => path.startsWith("/token") && hasAuthorization)).toEqual([]);
  });
});
