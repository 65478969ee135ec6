import { describe, expect, it } from "vitest";
import { Seats } from "../../src/lib/seats.ts";

const NEVER = new AbortController().signal;

describe("seats", () => {
  it("are taken by so many at once, the others in their order", async () => {
    const seats = new Seats(2);
    const order: string[] = [];
    const first = await seats.take(NEVER);
    const second = await seats.take(NEVER);
    const waiting = ["third", "fourth"].map(async (name) => {
      const leave = await seats.take(NEVER);
      order.push(name);
      return leave;
    });
    await new Promise(setImmediate);
    expect(order).toEqual([]);
    first();
    (await waiting[0]!)();
    (await waiting[1]!)();
    second();
    expect(order).toEqual(["third", "fourth"]);
    const again = await Promise.all([seats.take(NEVER), seats.take(NEVER)]);
    expect(again).toHaveLength(2);
  });

  it("are not kept for who has left", async () => {
    const seats = new Seats(1);
    const leave = await seats.take(NEVER);
    const gone = new AbortController();
    const left = seats.take(gone.signal);
    const next = seats.take(NEVER);
    gone.abort(new Error("gone"));
    await expect(left).rejects.toThrow("gone");
    await expect(seats.take(gone.signal)).rejects.toThrow("gone");
    leave();
    (await next)();
    await seats.take(NEVER);
  });
});
