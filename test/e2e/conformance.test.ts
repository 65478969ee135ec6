// What the conformance suite finds of a real registry is the same straight to it and through Layover, which stands in for its name.
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import { conformance, counted, lines, type Run, type Suite, type Verdict } from "./conformance.ts";
import { USERS } from "./tokens.ts";
import { type Software, Upstream } from "./upstream.ts";
import { GUARDED, HUB, OPEN, QUAY, World } from "./world.ts";

let world: World;
let direct: Suite;
let behind: Suite;
beforeAll(async () => {
  world = await World.start();
  await world.layover.start();
  [direct, behind] = [await world.client(conformance, world.direct), await world.client(conformance)];
});
afterAll(() => world?.stop());

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
/** `passes`: so many at least, straight. */
type Row = { host: string; address?: string; software?: Software; as?: Run; passes: number };
/** All that is optional as well. */
const ALL = { settings: { VERSION: "dev" } };

describe.each<[string, Row]>([
  ["distribution 3", { host: OPEN, passes: 580 }],
  ["distribution 3 behind a token server", { host: GUARDED, as: ALICE, passes: 580 }],
  ["docker-registry 2.8", { ...HUB, software: "docker-registry", passes: 550 }],
  ["a registry with the referrers API", { ...QUAY, software: "referrers-registry", passes: 430 }],
  ["a Layover that hosts, which passes all", { ...QUAY, software: "layover", as: ALL, passes: 750 }],
])("%s", (_, { host, address, software, as = {}, passes }) => {
  const owner = as.user ?? software ?? "acme";
  let registry: Upstream | undefined;
  let straight: readonly Verdict[];
  beforeAll(async () => {
    if (address) registry = await Upstream.make(world.authority, host, address, `${world.dir}/${software}`, undefined, software);
    await registry?.start();
    straight = await direct.verdicts(host, { prefix: `${owner}/straight`, ...as });
  });
  afterAll(() => registry?.stop());

  test("passes and fails the same tests through Layover, but for what Layover mends", async () => {
    onTestFailed(() => world.explain());
    const through = await behind.verdicts(host, { prefix: `${owner}/through`, ...as });
    console.log(host, "straight", counted(straight), "through Layover", counted(through));
    expect(counted(straight).passed).toBeGreaterThanOrEqual(passes);
    expect(lines(through)).toEqual(lines(straight.map(mended)));
  });
});
