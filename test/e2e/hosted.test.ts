// A registry of Layover's own: the conformance suite with nothing skipped, real clients that log in, push and pull, and a crash.
import { readdir } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import type { Client } from "./clients/client.ts";
import { CLIENTS } from "./clients/every.ts";
import { conformance, counted, type Suite } from "./conformance.ts";
import type { Engine, Kind, Network } from "./engine.ts";
import { Htpasswd } from "./htpasswd.ts";
import { Image } from "./image.ts";
import { outcome } from "./part.ts";
import { USERS } from "./tokens.ts";
import { until } from "./until.ts";
import { World } from "./world.ts";

const OPEN = "images.build.example";
const GUARDED = "private.build.example";
const USER = "alice";
const PASSWORD = USERS[USER]!;
const KINDS: Kind[] = ["classic", "containerd"];

let world: World;
let suite: Suite;
let engines: Record<Kind, Engine>;
let start: () => Promise<void>;
let behind: Network;
beforeAll(async () => {
  world = await World.start();
  const users = await Htpasswd.make(`${world.dir}/htpasswd`);
  const sites = { [OPEN]: { kind: "local", access: "anonymous" }, [GUARDED]: { kind: "local", users: users.file } };
  start = () => world.layover.start({}, { sites });
  await start();
  behind = { ...world.behind, ca: { ...world.behind.ca!, hosts: [OPEN, GUARDED] } };
  suite = await world.client(conformance, behind);
  engines = { classic: await world.engine("classic", behind), containerd: await world.engine("containerd", behind) };
});
afterAll(() => world?.stop());

/** With all that the specification makes optional, but for manifests whose parts are not there: those are refused here. */
const ALL = { VERSION: "dev" };

describe("the conformance suite", () => {
  test.each([
    ["without a login", OPEN, {}],
    ["with a login", GUARDED, { user: USER, password: PASSWORD }],
  ])("passes, and skips nothing, %s", async (_, host, user) => {
    onTestFailed(() => world.explain());
    const verdicts = await suite.verdicts(host, { ...user, settings: ALL });
    console.log(host, counted(verdicts));
    expect(verdicts.filter(({ result }) => result !== "passed")).toEqual([]);
    expect(verdicts.length).toBeGreaterThan(750);
    expect(verdicts.some(({ name }) => name.includes("sha512"))).toBe(true);
  });
});

describe.each(KINDS)("the %s engine", (kind) => {
  const other = KINDS.find((each) => each !== kind)!;

  test("pushes, and another engine pulls, also after a crash", async () => {
    onTestFailed(() => world.explain());
    const name = `${OPEN}/acme/${kind}:v1`;
    await engines[kind].load(await Image.make(), name);
    const pushed = await engines[kind].push(name);
    expect(outcome(pushed)).toBe("success");
    await world.layover.crash();
    await start();
    expect(outcome(await engines[other].pull(name))).toBe("success");
  });

  test("logs in, pushes and pulls where that is needed, and is refused where it has not", async () => {
    onTestFailed(() => world.explain());
    const name = `${GUARDED}/acme/${kind}:v1`;
    await engines[kind].load(await Image.make(), name);
    expect(outcome(await engines[kind].push(name))).not.toBe("success");
    expect(outcome(await engines[kind].login(USER, GUARDED, PASSWORD))).toBe("success");
    expect(outcome(await engines[kind].push(name, USER))).toBe("success");
    expect(outcome(await engines[other].pull(name))).not.toBe("success");
    expect(outcome(await engines[other].login(USER, GUARDED, PASSWORD))).toBe("success");
    expect(outcome(await engines[other].pull(name, USER))).toBe("success");
  });
});

test("a push that a crash cuts off is pushed again, and leaves nothing behind", async () => {
  onTestFailed(() => world.explain());
  const crane = await world.client<Client>(CLIENTS.crane, behind);
  const spool = () => readdir(`${world.layover.data}/spool`);
  const image = await Image.make(48 * 1024 * 1024);
  const reference = `${OPEN}/acme/cut:v1`;
  const cut = crane.push!(image, reference).catch(() => undefined);
  await until("bytes of the push", 20_000, async () => (await spool()).length > 0);
  await world.layover.crash();
  await start();
  await cut;
  expect(await crane.push!(image, reference)).toBe(await crane.pull(reference));
  // health checks write there too, for a moment
  await until("nothing to be left", 10_000, async () => (await spool()).length === 0);
});
