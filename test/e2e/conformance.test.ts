// What the conformance suite finds of a real registry is the same straight to it and through Layover, which stands in for its name.
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import { conformance, counted, lines, type Suite, type Verdict } from "./conformance.ts";
import { USERS } from "./tokens.ts";
import { Upstream } from "./upstream.ts";
import { GUARDED, HUB, OPEN, QUAY, World } from "./world.ts";

let world: World;
let direct: Suite;
let behind: Suite;
let others: readonly Upstream[];
beforeAll(async () => {
  world = await World.start();
  const { authority, dir } = world;
  others = [
    await Upstream.make(authority, HUB.host, HUB.address, `${dir}/hub`, undefined, "docker-registry"),
    await Upstream.make(authority, QUAY.host, QUAY.address, `${dir}/quay`, undefined, "referrers-registry"),
  ];
  await Promise.all([...others.map((each) => each.start()), world.layover.start()]);
  [direct, behind] = [await world.client(conformance, world.direct), await world.client(conformance)];
});
afterAll(async () => {
  await Promise.all((others ?? []).map((each) => each.stop()));
  await world?.stop();
});

/** What registries do wrong and Layover does not: it names a blob by the digest that it was asked for by, and has checked. */
const MENDED: readonly [name: RegExp, said: RegExp][] = [
  [
    /\/(?:blob-get|blob-head|(?:pull|head)\/manifest-.*)$/,
    /^Docker-Content-Digest header value expected "sha512:\w+", received "sha256:\w+"$/,
  ],
  [/\/range 5/, /INTERNAL_ERROR; received from peer$/],
  [/\/invalid-digest-format\//, /received (?:200|201|500)$/],
];
const mended = (verdict: Verdict): Verdict =>
  MENDED.some(([name, said]) => name.test(verdict.name) && said.test(verdict.said))
    ? { ...verdict, result: "passed", said: "" }
    : verdict;

const ALICE = { user: "alice", password: USERS["alice"]! };

describe.each([
  ["distribution 3", OPEN, undefined],
  ["distribution 3 behind a token server", GUARDED, ALICE],
  ["docker-registry 2.8", HUB.host, undefined],
  ["a registry with the referrers API", QUAY.host, undefined],
])("%s", (_, host, user) => {
  let straight: readonly Verdict[];
  beforeAll(async () => {
    straight = await direct.verdicts(host, { prefix: `${user?.user ?? "acme"}/straight`, ...user });
  });

  test("passes and fails the same tests through Layover, but for what Layover mends", async () => {
    onTestFailed(() => world.explain());
    const through = await behind.verdicts(host, { prefix: `${user?.user ?? "acme"}/through`, ...user });
    console.log(host, "straight", counted(straight), "through Layover", counted(through));
    expect(counted(straight).passed).toBeGreaterThan(400);
    expect(lines(through)).toEqual(lines(straight.map(mended)));
  });
});
