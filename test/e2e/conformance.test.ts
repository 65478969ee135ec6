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

/** distribution names a blob by sha256 whatever it was asked for by; Layover, which has checked the digest asked for, names it by that. */
const BY_ANOTHER_NAME = 'Docker-Content-Digest header value expected "sha512", received "sha256"';
const named = (line: string): string =>
  /\/(?:blob-get|blob-head): failed /.test(line) && line.endsWith(BY_ANOTHER_NAME) ? line.replace(/ failed .*/, " passed") : line;

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

  test("passes no less and no more through Layover", async () => {
    onTestFailed(() => world.explain());
    const through = await behind.verdicts(host, { prefix: `${user?.user ?? "acme"}/through`, ...user });
    console.log(host, "straight", counted(straight), "through Layover", counted(through));
    expect(counted(straight).passed).toBeGreaterThan(500);
    expect(lines(through)).toEqual(lines(straight).map(named));
  });
});
