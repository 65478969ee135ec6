// What the pipes behind HTTP know of a client: who asks, and whether it is still there, whenever they look.
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { Exchange } from "../../src/http/exchange.ts";
import type { Context } from "../../src/oci/registry.ts";
import { get, openTestDoor } from "./door.ts";
import { Wire } from "./wire.ts";

/** A door whose answers wait until `answer` is called. */
const holding = async () => {
  const { promise: released, resolve: answer } = Promise.withResolvers<void>();
  const door = await openTestDoor(async ({ res }) => {
    await released;
    if (!res.destroyed) res.end("own");
  });
  return { ...door, answer };
};

const first = async (exchanges: readonly Exchange[]): Promise<Exchange> => {
  await expect.poll(() => exchanges.length).toBe(1);
  return exchanges[0]!;
};

describe("a client's signal", () => {
  it("fires when the client leaves, for those who asked for it before and for those who ask after", async () => {
    const { connect, exchanges, answer } = await holding();
    const socket = await connect();
    socket.write(get("/"));
    const { ctx, res } = await first(exchanges);
    const { signal } = ctx;
    expect(signal.aborted).toBe(false);
    expect(ctx.signal).toBe(signal);
    socket.destroy();
    await expect.poll(() => signal.aborted).toBe(true);
    expect(signal.reason).toMatchObject({ name: "ClientGone" });
    expect(res.closed).toBe(true);
    answer();
  });

  it("has fired already for whoever asks for it only then, and costs nobody anything who never does", async () => {
    const { connect, exchanges, answer } = await holding();
    const socket = await connect();
    socket.write(get("/"));
    const { ctx, res } = await first(exchanges);
    const listeners = res.listenerCount("close");
    socket.destroy();
    await expect.poll(() => res.closed).toBe(true);
    expect(ctx.signal.aborted).toBe(true);
    expect(ctx.signal.reason).toMatchObject({ name: "ClientGone" });
    expect(res.listenerCount("close")).toBeLessThanOrEqual(listeners);
    answer();
  });

  it("does not fire while the answer is under way, nor for a request of many that waits for its turn", async () => {
    const { connect, exchanges, answer } = await holding();
    const socket = await connect();
    const wire = new Wire(socket);
    socket.write(get("/").repeat(3));
    const { ctx } = await first(exchanges);
    await sleep(20);
    expect(exchanges.length).toBe(1);
    expect(ctx.signal.aborted).toBe(false);
    answer();
    for (let answers = 0; answers < 3; answers += 1) {
      const head = (await wire.head())!;
      expect(await wire.body(head, () => true)).toBe(true);
    }
    expect(exchanges.length).toBe(3);
  });
});

describe("a client's context", () => {
  it("keeps all but the signal when it is copied for another's", async () => {
    const { connect, exchanges, answer } = await holding();
    const socket = await connect();
    socket.write(get("/", { headers: "authorization: Basic YTpi\r\naccept: text/a, text/b;q=0.5\r\n" }));
    const { ctx } = await first(exchanges);
    const { signal } = new AbortController();
    const copy: Context = { ...ctx, signal };
    expect(copy).toEqual({
      credential: "Basic YTpi",
      accept: ctx.accept,
      client: "127.0.0.1",
      trace: ctx.trace,
      tally: { upstreamBytes: 0, upstreamRequests: 0 },
      signal,
    });
    expect(copy.accept.length).toBe(2);
    expect(copy.tally).toBe(ctx.tally);
    answer();
  });

  it("has a trace of its own for every request", async () => {
    const { connect, exchanges } = await openTestDoor(async ({ res }) => void res.end());
    await Promise.all(
      Array.from({ length: 5 }, async () => {
        const socket = await connect();
        const wire = new Wire(socket);
        socket.write(get("/").repeat(60));
        for (let answers = 0; answers < 60; answers += 1) expect(await wire.body((await wire.head())!, () => true)).toBe(true);
      }),
    );
    const traces = exchanges.map(({ ctx }) => ctx.trace);
    expect(new Set(traces).size).toBe(300);
    for (const trace of traces) expect(trace).toMatch(/^[0-9a-f]{12,}$/);
  });
});
