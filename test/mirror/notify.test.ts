import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Logger, silent } from "../../src/lib/log.ts";
import { MirrorCounts } from "../../src/mirror/counts.ts";
import type { ChangeMessage, FailureMessage, MirrorMessage } from "../../src/mirror/message.ts";
import { notices } from "../../src/mirror/notify.ts";
import { digestOf, failed, reportOf, synced } from "./synced.ts";

const HOUR = 3_600_000;

const setUp = ({ clock = (): number => 0 } = {}) => {
  const messages: MirrorMessage[] = [];
  const lines: { level: string; text: string; [field: string]: unknown }[] = [];
  const at = (level: string) => (fields: object, text: string) => void lines.push({ level, ...fields, text });
  const log = { ...silent, info: at("info"), warn: at("warn"), error: at("error") } as unknown as Logger;
  const counts = new MirrorCounts();
  const events = notices({ send: (message) => messages.push(message), counts, clock, log });
  const changes = () => messages.filter(({ event }) => event === "change") as ChangeMessage[];
  const failures = () => messages.filter(({ event }) => event === "failure") as FailureMessage[];
  return { messages, lines, counts, events, changes, failures };
};

describe("changes", () => {
  it("of a run are one message at its end, and a line each", () => {
    const { events, messages, lines, counts } = setUp();
    const created = "2026-11-01T00:00:00.000Z";
    const tags = [
      synced("1", { backup: "1.20261124", created }),
      synced("2", { change: "missing", target: { site: "images.example", repository: "mirror/app", tag: "two" } }),
    ].map((tag, nth) => (nth === 1 ? (({ now: _now, ...rest }) => rest)(tag) : tag));
    for (const tag of tags) events.changed(tag, "7");
    expect(messages).toEqual([]);
    events.ended(reportOf("7", tags));
    const [from, to] = [digestOf(1), digestOf(2)];
    expect(messages).toEqual([
      {
        ...{ event: "change", id: expect.stringMatching(/^[0-9a-f-]{36}$/), entry: "apps", run: "7", count: 2 },
        text:
          "Layover mirror apps: 2 tags have moved (run 7): registry.example/acme/app:1 000000000000 → 000000000000, " +
          "images.example/mirror/app:two new → 000000000000",
        changes: [
          { ...{ site: "registry.example", repository: "acme/app", tag: "1", from, to, created }, backup: "1.20261124" },
          {
            ...{ site: "images.example", repository: "mirror/app", tag: "two", to },
            source: { site: "registry.example", repository: "acme/app", tag: "2" },
          },
        ],
      },
    ]);
    expect(lines.map(({ level, text }) => [level, text])).toEqual([
      ["info", "mirror: a tag has moved"],
      ["info", "mirror: a tag has moved"],
      ["info", "mirror: a sync has ended"],
    ]);
    expect(lines[1]).toMatchObject({ entry: "apps", run: "7", site: "images.example", repo: "mirror/app", tag: "two", to });
    expect(lines[2]).toMatchObject({ good: true, ms: 12_500, moved: 2, repaired: 0, same: 0, failures: 0, fetched: 2_000 });
    expect(counts.of("apps")).toEqual({ changes: 2, failures: 0, fetched: 2_000 });
  });

  it("are none where nobody sees another image", () => {
    const { events, messages, lines, counts } = setUp();
    const tag = synced("1", { change: "incomplete", now: digestOf(2) });
    events.changed(tag, "1");
    events.ended(reportOf("1", [tag, synced("2", { change: "same", outcome: "skipped", fetched: 0 })]));
    expect(messages).toEqual([]);
    expect(lines[0]).toMatchObject({ level: "info", text: "mirror: a tag is whole again" });
    expect(lines[1]).toMatchObject({ moved: 0, repaired: 1, same: 1 });
    expect(counts.of("apps").changes).toBe(0);
  });

  it("of thousands of tags are a message of a bounded size, with their number", () => {
    const { events, changes } = setUp();
    const tags = Array.from({ length: 5_000 }, (_, nth) => synced(`t${nth}`));
    for (const tag of tags) events.changed(tag, "1");
    events.ended(reportOf("1", tags));
    expect(changes()).toHaveLength(1);
    expect(changes()[0]).toMatchObject({ count: 5_000, text: expect.stringMatching(/5000 tags have moved .*, and 4995 more$/) });
    expect(changes()[0]!.changes).toHaveLength(100);
  });

  it("of a run that has broken off are told with the next, or when we close", () => {
    const { events, changes } = setUp();
    events.changed(synced("1"), "1");
    events.changed(synced("2"), "2");
    expect(changes().map(({ run, count }) => [run, count])).toEqual([["1", 1]]);
    events.changed(synced("1", { entry: "others" }), "1");
    events.close();
    expect(changes().map(({ entry, run }) => [entry, run])).toEqual([
      ["apps", "1"],
      ["apps", "2"],
      ["others", "1"],
    ]);
    events.close();
    expect(changes()).toHaveLength(3);
  });
});

describe("failures", () => {
  it("are told at once, once an entry and run; the log has each, up to a hundred, and five that are alike", () => {
    const { events, failures, lines, counts } = setUp();
    const tags = Array.from({ length: 250 }, (_, nth) => failed(`t${nth}`, `${nth}: upstream is away`));
    events.failed(tags[0]!, "1");
    expect(failures()).toMatchObject([
      {
        ...{ entry: "apps", run: "1", outcome: "failed", code: "UPSTREAM_UNREACHABLE", message: "0: upstream is away" },
        ...{ site: "registry.example", repository: "acme/app", tag: "t0", from: digestOf(1), to: digestOf(2) },
        text: "Layover mirror apps: registry.example/acme/app:t0 could not be synced (run 1): UPSTREAM_UNREACHABLE: 0: upstream is away",
      },
    ]);
    for (const tag of tags.slice(1)) events.failed(tag, "1");
    events.ended(reportOf("1", tags));
    expect(failures()).toHaveLength(1);
    expect(lines.filter(({ text }) => text === "mirror: a tag could not be synced")).toHaveLength(100);
    expect(lines.at(-1)).toMatchObject({ level: "warn", text: "mirror: a sync has ended, and not all is well", failures: 250 });
    expect(counts.of("apps").failures).toBe(250);
    events.failed(tags[0]!, "2");
    events.failed(synced("1", { ...tags[0]!, entry: "others" }), "2");
    expect(failures().map(({ entry, run }) => [entry, run])).toEqual([
      ["apps", "1"],
      ["others", "2"],
    ]);
  });

  it("of what is no tag are told at the end", () => {
    const { events, failures, lines } = setUp();
    const failure = { reference: "registry.example/acme/*", code: "UNSUPPORTED", message: "it lists no repositories" };
    events.ended(reportOf("3", [], { isGood: false, failures: [failure] }));
    expect(failures()).toMatchObject([
      { ...failure, text: expect.stringContaining("registry.example/acme/* could not be synced") },
    ]);
    expect(lines[0]).toMatchObject({ level: "warn", reference: "registry.example/acme/*", code: "UNSUPPORTED" });
  });

  it("that go on for days are told daily, and anew when all was well in between", () => {
    let now = 0;
    const { events, failures, lines } = setUp({ clock: () => now });
    const run = (tags = Array.from({ length: 60 }, (_, nth) => failed(`${now / HOUR}-${nth}`))) => {
      for (const tag of tags) events.failed(tag, String(now));
      events.ended(reportOf(String(now), tags));
      return failures().length;
    };
    for (; now < 20 * HOUR; now += HOUR) expect(run()).toBe(1);
    expect(run()).toBe(2);
    expect(lines.filter(({ text }) => text === "mirror: a tag could not be synced")).toHaveLength(21 * 5);
    expect(lines.at(-1)).toMatchObject({ failures: 60 });
    now += HOUR;
    expect(run([])).toBe(2);
    now += HOUR;
    expect(run()).toBe(3);
    now -= 48 * HOUR; // the clock is put back
    expect(run()).toBe(4);
  });

  it("of another tag, digest or reason are told beside those that go on", () => {
    const { events, failures } = setUp();
    const stopped = (tag: string, upstream: string) =>
      synced(tag, { outcome: "stopped", upstream, failure: { reference: tag, code: "DENIED", message: "it ended with 1" } });
    events.failed(stopped("1", digestOf(2)), "1");
    events.failed(stopped("1", digestOf(2)), "2");
    events.failed(stopped("2", digestOf(2)), "2");
    events.failed(stopped("1", digestOf(3)), "3");
    events.failed(stopped("1", digestOf(2)), "4");
    events.failed(failed("1"), "4");
    expect(failures().map(({ run, code }) => [run, code])).toEqual([
      ["1", "DENIED"],
      ["2", "DENIED"],
      ["3", "DENIED"],
      ["4", "UPSTREAM_UNREACHABLE"],
    ]);
  });

  it("by a hook say so, with what it said", () => {
    const { events, failures, lines } = setUp();
    const failure = { reference: "1", code: "DENIED", message: "it ended with 1" };
    events.failed(synced("1", { outcome: "stopped", failure, hookOutput: "CVE-2026-1\nCVE-2026-2" }), "1");
    expect(failures()).toMatchObject([{ outcome: "stopped", hookOutput: "CVE-2026-1\nCVE-2026-2" }]);
    expect(failures()[0]!.text).toMatch(/app:1 is stopped by its pre hook \(run 1\): DENIED: it ended with 1$/);
    expect(lines[0]).toMatchObject({ text: "mirror: a hook has stopped a tag", why: "it ended with 1" });
  });

  it("of a post hook are told, and so is the change", () => {
    const { events, failures, changes, lines, counts } = setUp();
    const failure = { reference: "1", code: "HOOK_FAILED", message: "its post hook: it ended with 1" };
    const tag = synced("1", { failure });
    events.changed(tag, "1");
    events.ended(reportOf("1", [tag], { isGood: false }));
    expect(failures()).toMatchObject([
      { outcome: "done", text: expect.stringContaining("app:1 has moved, and its post hook has failed (run 1): HOOK_FAILED: ") },
    ]);
    expect(changes()).toMatchObject([{ count: 1 }]);
    expect(lines.map(({ text }) => text)).toEqual([
      ...["mirror: a tag has moved, and its post hook has failed", "mirror: a tag has moved"],
      "mirror: a sync has ended, and not all is well",
    ]);
    expect(counts.of("apps")).toMatchObject({ changes: 1, failures: 1 });
  });

  it("have no word of upstream's by which a chat would call somebody, or lead anywhere", () => {
    const said = "<!channel> @here [click](http://evil.example) `x` &amp; \u001b[31m\u202e\nnext line";
    const { events, failures, lines } = setUp();
    events.failed(failed("1", said), "1");
    expect(failures()[0]!.text).toMatch(/: ‹!channel› ＠here \(click\)\(http:\/\/evil\.example\) 'x' \+amp; next line$/);
    expect(lines[0]).toMatchObject({ why: "<!channel> @here [click](http://evil.example) `x` &amp; next line" });
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 5_000 }), (message) => {
        const { events, failures } = setUp();
        events.failed(failed("1", message), "1");
        expect(failures()[0]!.text).not.toMatch(/[<>&@[\]`]|\p{C}/u);
        expect(failures()[0]!.text.length).toBeLessThanOrEqual(2_000);
      }),
    );
  });
});

describe("counts", () => {
  it("are forgotten with their entry", () => {
    const counts = new MirrorCounts();
    counts.of("a").changes += 1;
    counts.of("b").changes += 2;
    counts.keepOnly(["b"]);
    expect([counts.of("a").changes, counts.of("b").changes]).toEqual([0, 2]);
  });
});
