import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatDuration, formatSize, parseDuration, parseSize, UnitError } from "../../src/lib/units.ts";

describe("durations", () => {
  it.each([
    ["250ms", 250],
    ["90s", 90_000],
    ["5m", 300_000],
    ["1.5h", 5_400_000],
    ["30d", 2_592_000_000],
    ["0", 0],
    [" 12 h ", 43_200_000],
  ])("%s is %d ms", (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each(["", "5", "5min", "-5m", "5 m 3s", "1e3s", "Infinitys", "99999999999999999999d", "0x10s", "5M"])(
    "refuses %j",
    (text) => {
      expect(() => parseDuration(text)).toThrow(UnitError);
      expect(() => parseDuration(text)).toThrow(`expected a duration such as 90s, 5m, 12h or 30d, found ${JSON.stringify(text)}`);
    },
  );

  it("are written so that they read back", () =>
    fc.assert(fc.property(fc.integer({ min: 0, max: 1e14 }), (ms) => parseDuration(formatDuration(ms)) === ms)));
});

describe("sizes", () => {
  it.each([
    ["0", 0],
    ["512", 512],
    ["10MB", 10_000_000],
    ["10mib", 10_485_760],
    ["200GiB", 214_748_364_800],
    ["1.5 kB", 1_500],
    ["7B", 7],
  ])("%s is %d bytes", (text, bytes) => expect(parseSize(text)).toBe(bytes));

  it.each(["", "GiB", "10XB", "10G", "-1GB", "1e9", "99999999TiB", "ten"])("refuses %j", (text) =>
    expect(() => parseSize(text)).toThrow(`expected a size such as 500MB or 200GiB, found ${JSON.stringify(text)}`),
  );

  it("are written so that they read back", () =>
    fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 50 }), (bytes) => parseSize(formatSize(bytes)) === bytes)));
});
