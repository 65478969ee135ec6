// What Prometheus is told, read back by a strict reader.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { exposition, type Family } from "../../src/admin/exposition.ts";
import { mirrorFamilies } from "../../src/admin/mirror-metrics.ts";
import { MirrorCounts } from "../../src/mirror/counts.ts";
import type { EntryFigures } from "../../src/mirror/figures.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { Front, startFront } from "../front.ts";
import { ask, bearer } from "./asking.ts";
import { readExposition } from "./exposition.ts";

const OPEN = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
const AT = Date.UTC(2026, 10, 24, 8, 0, 0);

const scrape = async (front: Front, accept?: string) => {
  const headers = { ...bearer(front), ...(accept !== undefined && { accept }) };
  const answer = await ask(front, "/metrics", { headers });
  expect(answer.status).toBe(200);
  const families = readExposition(answer.text, accept === undefined ? "plain" : "open");
  const value = (name: string, labels?: object) =>
    [...families.values()].flatMap(
      ({ samples }) => samples.get(`${name}${labels === undefined ? "" : JSON.stringify(labels)}`) ?? [],
    )[0];
  return { ...answer, families, value };
};

describe("/metrics", () => {
  it("needs the token, and GET", async () => {
    const front = await startFront("http://127.0.0.1:9");
    expect((await ask(front, "/metrics")).status).toBe(401);
    expect((await ask(front, "/metrics", { headers: { authorization: "Bearer x" } })).status).toBe(401);
    const posted = await ask(front, "/metrics", { method: "POST", headers: bearer(front) });
    expect([posted.status, posted.headers["allow"]]).toEqual([405, "GET"]);
    expect((await front.page("/metrics")).status).toBe(404);
  });

  it("speaks OpenMetrics to whoever accepts it, and the older format to all others", async () => {
    const front = await startFront("http://127.0.0.1:9");
    const plain = await scrape(front);
    const open = await scrape(front, OPEN);
    expect(plain.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(open.headers["content-type"]).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
    const names = [...open.families].map(([name, { type }]) => (type === "counter" ? `${name}_total` : name));
    expect([...plain.families.keys()]).toEqual(names);
    expect(names.filter((name) => !/^(layover|process)_[a-z_]+$/.test(name))).toEqual([]);
  });

  it("tells how the server, its room, its downloads and its upstreams stand", async () => {
    const upstream = await faultUpstream();
    const { layers } = upstream.content.seed({ repo: "acme/app", tag: "1", layers: 5_000 });
    const front = await startFront(upstream);
    const before = await scrape(front);
    expect(before.value("layover_ready")).toBe(1);
    expect(before.value("layover_room_blobs")).toBe(0);
    expect(before.families.has("layover_upstream_up")).toBe(false);
    expect((await front.ask(`/v2/acme/app/blobs/${layers[0]!.digest}`)).status).toBe(200);
    // who reads it has it before it is accounted for
    await expect
      .poll(async () => {
        const { value } = await scrape(front);
        return [value("layover_room_held_bytes"), value("layover_room_blobs"), value("layover_flights")];
      })
      .toEqual([layers[0]!.bytes.length, 1, 0]);
    const { value } = await scrape(front);
    const labels = { site: "registry.test", origin: upstream.url.origin };
    expect(value("layover_upstream_up", labels)).toBe(1);
    expect(value("layover_room_full")).toBe(0);
    expect(value("layover_flight_events_total", { event: "landed" })).toBe(1);
    expect(value("layover_mirror_held_tags", { by: "pin" })).toBe(0);
    expect(value("process_resident_memory_bytes")).toBeGreaterThan(10_000_000);
    expect(value("process_start_time_seconds")! * 1_000).toBeLessThan(Date.now());
  });

  it("names no host that somebody has made up", async () => {
    const upstream = await faultUpstream();
    const front = new Front(upstream.url.origin, {}, { "*.wild.test": { upstream: upstream.url.origin } });
    await front.start();
    for (const host of ["one.wild.test", "two.wild.test"]) await front.ask("/v2/", { host });
    const { text, value } = await scrape(front);
    expect(text).not.toMatch(/one\.wild|two\.wild/);
    expect(value("layover_wildcard_hosts", { wildcard: "*.wild.test" })).toBe(2);
  });
});

describe("the mirror's metrics", () => {
  const good = { startedAt: AT, endedAt: AT + 30_000, isGood: true };
  const bad = { startedAt: AT + 60_000, endedAt: AT + 61_500, isGood: false };
  const entryOf = (entry: string, more: Partial<EntryFigures> = {}): EntryFigures => ({
    ...{ entry, runs: { last: undefined, lastGood: undefined }, nextAt: undefined, isRunning: false, isOverdue: false, ...more },
  });

  it("tell of each entry's last syncs, the next, and what was counted", async () => {
    const counts = new MirrorCounts();
    Object.assign(counts.of("apps"), { changes: 3, failures: 2, fetched: 10_000 });
    counts.webhooks.sent += 4;
    const entries = [
      entryOf("apps", { runs: { last: bad, lastGood: good }, nextAt: AT + 3_600_000, isOverdue: true }),
      entryOf("bases", { isRunning: true }),
    ];
    const { body } = await exposition(mirrorFamilies({ entries, counts }), OPEN);
    const samples = new Map([...readExposition(body, "open").values()].flatMap((family) => [...family.samples]));
    const of = (entry: string) =>
      Object.fromEntries(
        [...samples].flatMap(([key, value]) => {
          const [, name, found] = /^layover_mirror_(\w+)\{"entry":"(\w+)"\}$/.exec(key) ?? [];
          return found === entry ? [[name, value]] : [];
        }),
      );
    expect(of("apps")).toEqual({
      ...{ last_good_timestamp_seconds: AT / 1_000 + 30, last_run_timestamp_seconds: AT / 1_000 + 61.5, last_run_ok: 0 },
      ...{ run_seconds: 1.5, next_run_timestamp_seconds: AT / 1_000 + 3_600, running: 0, overdue: 1 },
      ...{ changes_total: 3, failures_total: 2, fetched_bytes_total: 10_000 },
    });
    expect(of("bases")).toEqual({ running: 1, overdue: 0, changes_total: 0, failures_total: 0, fetched_bytes_total: 0 });
    expect(samples.get('layover_mirror_webhook_messages_total{"outcome":"sent"}')).toBe(4);
  });

  it("are read back whatever an entry is called", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.string({ unit: "grapheme", minLength: 1 }), { minLength: 1, maxLength: 5 }),
        fc.constantFrom("open", "plain"),
        async (names, format) => {
          const entries = names.map((name, nth) => entryOf(name, { nextAt: nth * 1_000 }));
          const families: Family[] = mirrorFamilies({ entries, counts: new MirrorCounts() });
          const { body } = await exposition(families, format === "open" ? OPEN : undefined);
          const read = readExposition(body, format as "open" | "plain").get("layover_mirror_next_run_timestamp_seconds")!;
          const expected = names.map((entry, nth) => [
            `layover_mirror_next_run_timestamp_seconds${JSON.stringify({ entry })}`,
            nth,
          ]);
          expect([...read.samples]).toEqual(expected);
        },
      ),
    );
  });
});
