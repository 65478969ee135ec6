import { describe, expect, it } from "vitest";
import type { Figure, Metric } from "./figures.ts";
import type { Machine } from "./machine.ts";
import { columns, markdown, type Result, table } from "./report.ts";
import type { Round, Rounds } from "./rounds.ts";
import { median, ratioOf, spreadOf, wrongs } from "./statistics.ts";
import { inWords, judge } from "./verdict.ts";

const rates = (...values: (number | string)[]): Round[] =>
  values.map((value) => (typeof value === "string" ? { wrong: value } : { metrics: { rate: value } }));

const ROUNDS: Rounds = { layover: rates(50, 90, 10), nginx: rates(100, 100, 40), distribution: rates(10, "404", 5) };
const RATE: Metric = { key: "rate", unit: "requests/s", digits: 0, targets: [{ than: "nginx", atLeast: 0.5 }, { atLeast: 60 }] };
const FIGURE: Figure = { name: "manifest", title: "Warm manifest", metrics: [RATE], measure: () => Promise.resolve({}) };
const MACHINE: Machine = {
  date: "2026-01-02",
  cores: 2,
  cpu: "some CPU",
  kernel: "6.1",
  load: 0.12,
  node: "24.15.0",
  folder: "ext4",
  versions: { nginx: "nginx 1.22.1" },
  ciphers: { layover: "TLSv1.3 TLS_AES_256_GCM_SHA384" },
};

describe("medians and ratios", () => {
  it("takes the middle one, or the mean of the middle two", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([])).toBeNaN();
  });

  it("compares what was measured in the same round", () => {
    // the medians' own ratio would be 0.5, too, but not the least and the most
    expect(ratioOf(ROUNDS, "layover", "nginx", "rate")).toEqual({ median: 0.5, min: 0.25, max: 0.9 });
  });

  it("leaves out a round that one of the two has not, or that divides by nothing", () => {
    expect(ratioOf(ROUNDS, "layover", "distribution", "rate")).toEqual({ median: 3.5, min: 2, max: 5 });
    expect(ratioOf({ layover: rates(1), nginx: rates(0) }, "layover", "nginx", "rate")).toBeUndefined();
    expect(ratioOf(ROUNDS, "layover", "dnsmasq", "rate")).toBeUndefined();
  });

  it("keeps what was wrong apart", () => {
    expect(spreadOf(ROUNDS, "distribution", "rate")).toEqual({ median: 7.5, min: 5, max: 10 });
    expect(wrongs(ROUNDS)).toEqual(["404"]);
  });
});

describe("verdicts", () => {
  it("judges a ratio, and a figure by itself", () => {
    expect(judge(ROUNDS, RATE, { than: "nginx", atLeast: 0.5 })).toEqual({ wanted: "≥ 0.5 × nginx", reached: 0.5, met: true });
    expect(judge(ROUNDS, RATE, { than: "nginx", atMost: 0.4 })?.met).toBe(false);
    expect(inWords(judge(ROUNDS, RATE, { atLeast: 60 }))).toBe("≥ 60 requests/s: 50, MISSED");
  });

  it("judges what is shown", () => {
    const metric: Metric = { key: "upstream", unit: "upstream ÷ unique", digits: 2 };
    const at = (upstream: number) => judge({ layover: [{ metrics: { upstream } }] }, metric, { atMost: 1 });
    expect(at(1.0049)).toMatchObject({ reached: 1, met: true });
    expect(at(1.01)).toMatchObject({ reached: 1.01, met: false });
  });

  it("has none where nothing was measured", () => {
    expect(inWords(judge({}, RATE, { than: "nginx", atLeast: 0.5 }))).toBe("not measured");
  });
});

describe("tables", () => {
  const results: Result[] = [{ figure: FIGURE, rounds: ROUNDS }];

  it("pads all columns but the last", () => {
    expect(
      columns([
        ["a", "bb", "c"],
        ["aaa", "b", ""],
      ]),
    ).toEqual(["a    bb  c", "aaa  b"]);
  });

  it("shows people medians, ranges, ratios, verdicts and what was wrong", () => {
    const lines = table(results, MACHINE).replaceAll(/ {2,}/g, " | ").split("\n");
    expect(lines).toContain(" | layover | 50 (10–90) | requests/s");
    expect(lines).toContain(" | nginx | 100 (40–100) | × 0.50 (0.25–0.90) | requests/s");
    expect(lines).toContain(" | ≥ 0.5 × nginx: 0.5, met");
    expect(lines).toContain(" | ≥ 60 requests/s: 50, MISSED");
    expect(lines).toContain(" | WRONG: 404");
  });

  it("makes a row of every metric for the README", () => {
    const text = markdown(results, MACHINE);
    const verdict = "≥ 0.5 × nginx: 0.5, met; ≥ 60 requests/s: 50, **missed**";
    expect(text).toContain(`| **Warm manifest**, requests/s | 50 | 100 | 8 | – | – | ${verdict} |`);
    expect(text).toContain(
      "Made on 2026-01-02, 2 cores of some CPU, Linux 6.1, Node 24.15.0, data on ext4, load 0.1 before it began.",
    );
  });
});
