import { expect, it } from "vitest";
import { Counters } from "../../src/lib/counters.ts";

it("counts under the names it was given, and shows those of which nothing has happened", () => {
  const counters = new Counters(["begun", "ended"]);
  counters.add("begun");
  const before = counters.snapshot();
  counters.add("begun");
  expect(before).toEqual({ begun: 1, ended: 0 });
  expect(counters.snapshot()).toEqual({ begun: 2, ended: 0 });
});
