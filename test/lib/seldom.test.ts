import { expect, it } from "vitest";
import { Seldom } from "../../src/lib/seldom.ts";

it("is said at once, and then once a minute with how often it has happened", () => {
  let time = 5;
  const said: number[] = [];
  const seldom = new Seldom(() => time);
  for (let n = 0; n < 200; n += 1) {
    seldom.tell((times) => said.push(times));
    time += 1_000;
  }
  expect(said).toEqual([1, 60, 60, 60]);
});
