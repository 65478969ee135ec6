// To whoever may not read a repository it is all one whether what he asks for is held, held but of another repository, or not: the same answer,
// byte for byte, for the same questions at upstream. Over real sockets, against an upstream that refuses in one way or another.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PATIENCE } from "../../src/registry/patience.ts";
import { type Behaviour, hide404, hold, stall, status } from "../faults/behaviours.ts";
import type { Image } from "../faults/content.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { siteDoor } from "../http/site-door.ts";

const basic = (login: string) => `Basic ${Buffer.from(login).toString("base64")}`;

/**
 * Nothing of the first is held, all of the second by way of `ann/from` alone, all of the third, and of the fourth a layer is on its way.
 * The names are of one length.
 */
const STATES = ["ann/cold", "ann/else", "ann/held", "ann/busy"] as const;
const TAGS = ["fresh", "stale"] as const;

const REFUSES: Record<string, Behaviour> = {
  "401": () => undefined,
  "403": status(403, {}, '{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}'),
  "404": hide404,
  "451": status(451, {}, '{"errors":[{"code":"DENIED","message":"for legal reasons"}]}'),
  "500": status(500, {}, '{"errors":[{"code":"UNKNOWN","message":"the disk is on fire"}]}'),
};

const WAYS: Record<string, (image: Image) => string> = {
  "a fresh tag": () => "manifests/fresh",
  "a stale tag": () => "manifests/stale",
  "a manifest": ({ top }) => `manifests/${top.digest}`,
  "an image": ({ manifest }) => `manifests/${manifest.digest}`,
  "a layer": ({ layers }) => `blobs/${layers[0]!.digest}`,
  tags: () => "tags/list",
  "a page of tags": () => "tags/list?n=1",
  referrers: ({ top }) => `referrers/${top.digest}`,
};

const world = async () => {
  const owners = { ...Object.fromEntries([...STATES, "ann/from"].map((repo) => [repo, "ann"])), "bob/app": "bob" };
  const upstream = await faultUpstream({ auth: { kind: "bearer", users: { ann: "pw", bob: "pw" }, owners } });
  const seed = (repo: string, layer: string) => {
    const images = TAGS.map((tag) => upstream.content.seed({ repo, tag, layers: [Buffer.from(layer)], index: true }));
    return images[0]!;
  };
  const images = Object.fromEntries(STATES.map((repo) => [repo, seed(repo, `of ${repo}`)])) as Record<string, Image>;
  seed("ann/from", "of ann/else");
  const rules = [{ match: "**:stale", freshFor: "0s" }];
  const door = await siteDoor(upstream, { freshFor: "1h", rules });
  // how the site asks who one is: else it is found out when somebody comes
  await door.ask("/v2/");
  const token = async (repo: string, login: string) => {
    const url = new URL(`/token?service=fault.example&scope=repository:${repo}:pull`, upstream.url);
    const answer = (await (await fetch(url, { headers: { authorization: basic(login) } })).json()) as { token: string };
    return `Bearer ${answer.token}`;
  };
  const pull = async (repo: string, image: Image) => {
    const headers = { authorization: await token(repo, "ann:pw") };
    for (const way of Object.values(WAYS)) {
      const path = `/v2/${repo}/${way(image)}`;
      for (const method of ["GET", "HEAD"])
        expect({ path, status: (await door.ask(path, { headers, method })).status }).toEqual({ path, status: 200 });
    }
  };
  await pull("ann/held", images["ann/held"]!);
  await pull("ann/from", images["ann/else"]!);
  const busy = await token("ann/busy", "ann:pw");
  upstream.fault(({ headers }) => headers.authorization === busy, stall(1));
  const path = `/v2/ann/busy/${WAYS["a layer"]!(images["ann/busy"]!)}`;
  void door.ask(path, { headers: { authorization: busy } }).catch(() => undefined);
  upstream.content.seed({ repo: "bob/app", tag: "v1" });
  await door.ask("/v2/bob/app/tags/list", { headers: { authorization: await token("bob/app", "bob:pw") } });
  // of all four it has been asked whether they are public: without a token, and with anybody's
  await expect.poll(() => upstream.count(({ status: code }) => code === 401)).toBe(1 + 4 * 2);
  /** What a question brings, and what upstream is asked for it; whatever is of the image is called by what it is. */
  const seen = async (repo: string, image: Image, { way, method, range, authorization }: Question) => {
    upstream.clear();
    const headers = { ...(authorization !== undefined && { authorization }), ...(range !== undefined && { range }) };
    const { status: code, headers: all, body } = await door.ask(`/v2/${repo}/${WAYS[way]!(image)}`, { method, headers });
    const asked = upstream.log.map((one) => `${one.method} ${one.path} ${one.headers.authorization}`).sort();
    const { date: _, ...rest } = all;
    const named = JSON.stringify({ rest, body: body.toString(), asked })
      .replaceAll(repo, "REPO")
      .replaceAll(image.top.digest, "TOP")
      .replaceAll(image.manifest.digest, "IMAGE")
      .replaceAll(image.layers[0]!.digest, "LAYER");
    return { status: code, ...(JSON.parse(named) as object) };
  };
  return { upstream, images, token, seen };
};
const question = fc.record({
  way: fc.constantFrom(...Object.keys(WAYS)),
  method: fc.constantFrom("GET", "GET", "HEAD"),
  range: fc.constantFrom(undefined, undefined, "bytes=2-5", "bytes=99999999-"),
});

interface Question {
  readonly way: string;
  readonly method: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

const WITHIN = { timeout: 60_000 };

describe("what one may not have", () => {
  it("is refused alike in a repository of others, whatever is held", WITHIN, async () => {
    const { upstream, images, token, seen } = await world();
    const ann = await token("ann/held", "ann:pw");
    const who = [undefined, await token("bob/app", "bob:pw"), basic("bob:pw"), basic(":"), "Bearer none"];
    const refusal = fc.constantFrom(...Object.keys(REFUSES));
    await fc.assert(
      fc.asyncProperty(question, refusal, fc.constantFrom(...who), async (what, refuses, authorization) => {
        const answers = [];
        for (const repo of STATES) {
          const lift = upstream.fault(/^\/v2\/ann/, REFUSES[refuses]!);
          answers.push(await seen(repo, images[repo]!, { ...what, authorization }));
          lift();
          // a registry that answers nobody well is taken to be away
          await seen("ann/held", images["ann/held"]!, { way: "a layer", method: "HEAD", range: undefined, authorization: ann });
        }
        expect(answers[0]).toMatchObject({ status: Number(refuses) });
        for (const answer of answers) expect(answer).toEqual(answers[0]);
      }),
      { numRuns: 100 },
    );
  });

  it("is waited for alike, where upstream is slower than who could be served otherwise would wait", WITHIN, async () => {
    const { upstream, images, seen } = await world();
    const what = { way: "a stale tag", method: "GET", range: undefined, authorization: "Bearer none" };
    const answers = [];
    for (const repo of ["ann/held", "ann/cold"]) {
      const late = new Promise((resolve) => setTimeout(resolve, PATIENCE + 200));
      upstream.fault(new RegExp(repo), hold(late));
      answers.push(await seen(repo, images[repo]!, what));
    }
    expect(answers[1]).toEqual(answers[0]);
  });

  it("is not there alike in a repository of one's own, whatever is held", WITHIN, async () => {
    const { images, token, seen } = await world();
    const known = await token("bob/app", "bob:pw");
    const digests = fc.constantFrom("a manifest", "an image", "a layer");
    await fc.assert(
      fc.asyncProperty(question, digests, fc.boolean(), async (what, way, isNew) => {
        const answers = [];
        for (const repo of STATES) {
          const authorization = isNew ? await token("bob/app", "bob:pw") : known;
          await seen("bob/app", images[repo]!, { way: "tags", method: "GET", range: undefined, authorization: known });
          const answer = await seen("bob/app", images[repo]!, { ...what, way, authorization });
          answers.push(JSON.parse(JSON.stringify(answer).replaceAll(authorization, "BOB")) as object);
        }
        expect(answers[0]).toMatchObject({ status: 404 });
        for (const answer of answers) expect(answer).toEqual(answers[0]);
      }),
      { numRuns: 30 },
    );
  });
});
