// Followers of something that grows, beside what the suites of the stores say of them: nothing stays behind of whoever leaves.
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { ByteStream } from "../../src/lib/byte-stream.ts";
import { follow, Growth } from "../../src/store/growing.ts";
import { isPainted, paint } from "../lib/pattern.ts";

const following = (growth: Growth, start = 0, end?: number) => {
  const state = { releases: 0, reads: 0 };
  const grown = {
    read: async (into: Buffer, position: number) => {
      state.reads += 1;
      await turn();
      paint(into, 1, position);
      return into.length;
    },
    release: () => {
      state.releases += 1;
    },
  };
  return { body: follow(growth, grown, start, end), state };
};

const drained = async (body: ByteStream): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  const into = Buffer.alloc(10);
  for (let length = await body.readInto(into); length > 0; length = await body.readInto(into))
    chunks.push(Buffer.from(into.subarray(0, length)));
  return Buffer.concat(chunks);
};

describe("a follower", () => {
  it("that leaves while it waits is told so at once, is released once, and is listened for no more", async () => {
    const growth = new Growth();
    const followers = Array.from({ length: 50 }, () => following(growth));
    const waiting = followers.map(({ body }) => body.readInto(Buffer.alloc(10)));
    await turn();
    expect(growth.listenerCount("change")).toBe(50);
    for (const { body } of followers) body.destroy();
    for (const outcome of await Promise.allSettled(waiting)) expect(outcome.status).toBe("rejected");
    expect(growth.listenerCount("change")).toBe(0);
    expect(followers.map(({ state }) => state)).toEqual(followers.map(() => ({ releases: 1, reads: 0 })));
  });

  it("has what waits for it listened for once, however often it had to wait", async () => {
    const growth = new Growth();
    const { body } = following(growth);
    const reading = drained(body);
    for (let grown = 0; grown < 20; grown += 1) {
      growth.grow(5);
      for (let turns = 0; turns < 5; turns += 1) await turn();
      expect(growth.listenerCount("change")).toBe(1);
    }
    growth.verify();
    const bytes = await reading;
    expect(bytes.length).toBe(100);
    expect(isPainted(bytes, 1, 0)).toBe(true);
    expect(growth.listenerCount("change")).toBe(0);
  });

  it("whose read is under way when it leaves is released after it", async () => {
    const growth = new Growth();
    growth.grow(100);
    const { body, state } = following(growth);
    const reading = body.readInto(Buffer.alloc(10));
    body.destroy();
    expect(state).toEqual({ releases: 0, reads: 1 });
    await expect(reading).rejects.toThrow();
    await turn();
    expect(state).toEqual({ releases: 1, reads: 1 });
  });

  it.each([
    [0, undefined, 100],
    [99, undefined, 1],
    [100, undefined, 0],
    [101, undefined, 0],
    [10, 19, 10],
    [99, 99, 1],
  ])("from %i to %s has %i bytes, released by the verdict that it waited for", async (start, end, length) => {
    const growth = new Growth();
    const { body } = following(growth, start, end);
    const reading = drained(body);
    growth.grow(100);
    for (let turns = 0; turns < 20; turns += 1) await turn();
    growth.verify();
    const bytes = await reading;
    expect(bytes.length).toBe(length);
    expect(isPainted(bytes, 1, start)).toBe(true);
  });

  it.each([
    [0, 100],
    [99, 100],
    [100, 100],
    [150, 200],
  ])("from %i to %i of what is verified with 100 bytes never ends cleanly", async (start, end) => {
    const growth = new Growth();
    const { body } = following(growth, start, end);
    const reading = drained(body);
    growth.grow(100);
    growth.verify();
    await expect(reading).rejects.toThrow(/only 100 bytes/);
  });

  it("of what has failed already learns it, after what it may have", async () => {
    const growth = new Growth();
    growth.grow(100);
    growth.fail(new Error("no good"));
    const { body } = following(growth);
    let received = 0;
    const into = Buffer.alloc(30);
    const all = async () => {
      for (;;) received += await body.readInto(into);
    };
    await expect(all()).rejects.toThrow("no good");
    expect(received).toBe(99);
    expect(growth.listenerCount("change")).toBe(0);
  });
});
