// A sync to another registry: what its backup names come to, and what whoever pulls from there through us is given.
import { pino } from "pino";
import { expect, it } from "vitest";
import type { Tag } from "../../src/oci/reference.ts";
import { parseRepository } from "../../src/oci/reference.ts";
import { status } from "../faults/behaviours.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { FROM, OTHER, pushed, pushedEntry, TO } from "./pushed.ts";

const MINUTE = 60_000;

const world = async (changes: Parameters<typeof pushedEntry>[0] = {}) => {
  const [upstream, other] = [await faultUpstream(), await faultUpstream()];
  const lines: string[] = [];
  const log = pino({ base: null }, { write: (line: string) => void lines.push(line) });
  let now = Date.now();
  const entry = pushedEntry({ backup: "{{tag}}-{{run}}", keep: { count: 1, for: undefined }, ...changes });
  const made = await pushed(upstream, other.url.origin, entry, { clock: () => now, log });
  const seed = (tag: string) => upstream.content.seed({ repo: FROM, tag, layers: [500] }).top.digest;
  const there = () => other.content.repo(TO).tags;
  const pull = async (tag: string) => (await made.ask(`/v2/${TO}/manifests/${tag}`, { host: OTHER })).headers;
  const pass = (ms: number) => {
    now += ms;
  };
  return { ...made, upstream, other, seed, there, pull, lines, pass };
};

it("takes away the names that have expired, its own alone, and only while they stand for what they were given to", async () => {
  const { sync, seed, there, other, pass, facts } = await world();
  seed("v1");
  seed("v1-alpine");
  await sync({ run: "1" });
  for (const run of ["2", "3", "4"]) {
    pass(MINUTE);
    seed("v1");
    if (run === "2") seed("v1-alpine");
    // of the shape of a backup name, and none
    if (run === "3") other.content.repo(TO).tags.set("v1-9", there().get("v1-2")!);
    if (run === "4") other.content.repo(TO).tags.set("v1-3", there().get("v1")!);
    const report = await sync({ run });
    expect(report).toMatchObject({ isGood: true, failures: [] });
    const expired = run === "3" ? ["v1-2"] : [];
    expect(report.expired).toEqual(expired.map((tag) => ({ site: OTHER, repository: TO, tag })));
  }
  expect([...there().keys()].toSorted()).toEqual(["v1", "v1-3", "v1-4", "v1-9", "v1-alpine", "v1-alpine-2"]);
  const history = await facts.tagHistory({ site: OTHER, repo: parseRepository(TO), tag: "v1-2" as Tag }, 9);
  expect(history.map(({ reason }) => reason)).toEqual(["expire", "backup"]);
  // and no byte is held for the sake of what is there
  expect(await facts.mirroring.keptTags({ limit: 9 })).toEqual([]);
});

it("goes by age too, and leaves them all where not everything could be looked at", async () => {
  const { sync, seed, there, pass, upstream } = await world({ keep: { count: 9, for: MINUTE } });
  seed("v1");
  await sync({ run: "1" });
  seed("v1");
  await sync({ run: "2" });
  pass(2 * MINUTE);
  upstream.fault(/manifests\/v1/, status(404), 1);
  upstream.content.seed({ repo: FROM, tag: "v2" });
  upstream.fault(/manifests\/v2/, status(403), 1);
  expect((await sync({ run: "3" })).expired).toEqual([]);
  expect((await sync({ run: "4" })).expired).toMatchObject([{ tag: "v1-2" }]);
  expect([...there().keys()].toSorted()).toEqual(["v1", "v2"]);
});

it("is good, and says so, where the registry deletes nothing by its tag", async () => {
  const { sync, seed, other, lines, pass } = await world();
  other.fault(({ method }) => method === "DELETE", status(405));
  for (const run of ["1", "2", "3"]) {
    seed("v1");
    pass(MINUTE);
    expect(await sync({ run })).toMatchObject({ isGood: true, expired: [] });
  }
  expect(lines.filter((line) => line.includes("does not delete tags"))).toHaveLength(1);
});

it("is seen at once by whoever pulls from there through us, and what others push there as well", async () => {
  const { sync, seed, pull, other } = await world();
  const first = seed("v1");
  await sync({ run: "1" });
  expect((await pull("v1"))["docker-content-digest"]).toBe(first);
  const second = seed("v1");
  await sync({ run: "2" });
  expect((await pull("v1"))["docker-content-digest"]).toBe(second);
  expect((await pull("v1-2"))["docker-content-digest"]).toBe(first);
  expect(other.content.repo(TO).tags.get("v1")).toBe(second);
});
