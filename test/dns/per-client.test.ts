import { expect, it } from "vitest";
import { perClient } from "../../src/dns/per-client.ts";

it("finds out once for each client that keeps asking, a no as well as a yes, and not for ever more of them", () => {
  const asked: string[] = [];
  const isEven = perClient((address) => asked.push(address) > 0 && /[02468]$/.test(address));
  for (const address of ["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"]) {
    expect(isEven(address)).toBe(address === "10.0.0.2");
  }
  expect(asked).toEqual(["10.0.0.1", "10.0.0.2"]);
  for (let i = 0; i < 10_000; i += 1) isEven(`10.1.${i >> 8}.${i & 255}`);
  expect(isEven("10.0.0.1")).toBe(false);
  expect(asked).toHaveLength(10_003);
});
