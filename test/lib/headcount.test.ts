import { expect, it } from "vitest";
import { Headcount } from "../../src/lib/headcount.ts";

it("bounds each client, and all of them together", () => {
  const count = new Headcount({ all: 3, each: 2 });
  const leave = count.enter("10.0.0.1")!;
  expect(count.enter("::ffff:10.0.0.1")).toBeDefined();
  expect(count.enter("10.0.0.1")).toBeUndefined();
  expect(count.enter("10.0.0.2")).toBeDefined();
  expect(count.enter("10.0.0.3")).toBeUndefined();
  leave();
  expect(count.all).toBe(2);
  expect(count.enter("10.0.0.1")).toBeDefined();
});

it.each([
  ["2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", false],
  ["2001:db8:1:2::1", "2001:0db8:0001:0002:3:4:5:6", false],
  ["2001:db8:1:2::1", "2001:db8:1:3::1", true],
  ["::1", "::2", false],
  ["2001:db8::1", "2001:db8:0:0:1::", false],
  ["fe80::1%eth0", "fe80::2%eth0", false],
])("%s and %s are two clients: %s", (one, other, two) => {
  const count = new Headcount({ all: 10, each: 1 });
  count.enter(one);
  expect(count.enter(other) !== undefined).toBe(two);
});

it("knows nobody when all have left", () => {
  const count = new Headcount({ all: 100_000, each: 1 });
  for (let i = 0; i < 50_000; i += 1) count.enter(`10.0.${i >> 8}.${i & 255}`)!();
  expect(count.all).toBe(0);
  expect(JSON.stringify(count)).toBe(JSON.stringify(new Headcount({ all: 100_000, each: 1 })));
});
