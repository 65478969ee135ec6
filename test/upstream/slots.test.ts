import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { type Release, Slots, type Urgency } from "../../src/upstream/slots.ts";

const EVER = new AbortController().signal;
const slotsOf = (total: number, more: object = {}) => new Slots({ name: "https://a.example", total, ...more });
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** What takes slots and notes in which order they came. */
const taker = (slots: Slots) => {
  const order: string[] = [];
  const releases = new Map<string, Release>();
  const take = (name: string, urgency: Urgency, signal = EVER, client = "") =>
    slots.take(urgency, signal, client).then(
      (release) => {
        order.push(name);
        releases.set(name, release);
      },
      (error: unknown) => void order.push(`${name}: ${(error as Error).message}`),
    );
  return { order, take, release: (name: string) => releases.get(name)!() };
};

describe("slots", () => {
  it("are as many as there are, and given back once however often that is said", async () => {
    const slots = slotsOf(2);
    const [first] = await Promise.all([slots.take("first", EVER), slots.take("first", EVER)]);
    const third = slots.take("first", EVER);
    await settled();
    expect([slots.running, slots.waiting]).toEqual([2, 1]);
    first!();
    first!();
    await third;
    expect([slots.running, slots.waiting]).toEqual([2, 0]);
  });

  it("are never all taken by bodies of blobs", async () => {
    const slots = slotsOf(16);
    const { take, order } = taker(slots);
    for (let n = 0; n < 100; n += 1) void take(`blob ${n}`, "bulk", EVER, n < 50 ? "192.0.2.1" : "192.0.2.2");
    await settled();
    expect([slots.running, slots.waiting]).toEqual([14, 86]);
    await take("manifest", "first");
    expect(order.at(-1)).toBe("manifest");
  });

  it("are never all taken by what no client waits for", async () => {
    const slots = slotsOf(16);
    const { take, order } = taker(slots);
    for (let n = 0; n < 100; n += 1) void take(`synced ${n}`, "bulk");
    await settled();
    expect([slots.running, slots.waiting]).toEqual([10, 90]);
    await take("a client's", "bulk", EVER, "192.0.2.1");
    expect(order.at(-1)).toBe("a client's");
  });

  it("go to what is small first, to each kind in the order in which it came", async () => {
    const { take, order, release } = taker(slotsOf(2));
    await take("a", "first");
    await take("b", "bulk");
    for (const [name, urgency] of [
      ["blob 1", "bulk"],
      ["blob 2", "bulk"],
      ["manifest 1", "first"],
      ["manifest 2", "first"],
    ] as const)
      void take(name, urgency);
    for (const name of ["a", "manifest 1", "manifest 2", "b", "blob 1"]) {
      await settled();
      release(name);
    }
    await settled();
    expect(order).toEqual(["a", "b", "manifest 1", "manifest 2", "blob 1", "blob 2"]);
  });

  it("do not let manifests without end keep every blob waiting", async () => {
    const { take, order, release } = taker(slotsOf(2));
    await take("a", "first");
    await take("b", "first");
    void take("blob", "bulk");
    void take("manifest", "first");
    await settled();
    release("a");
    await settled();
    expect(order.at(-1)).toBe("blob");
  });

  it("serve blobs also where there is but one", async () => {
    const { take, order } = taker(slotsOf(1));
    await take("blob", "bulk");
    expect(order).toEqual(["blob"]);
  });

  it("can be left while one waits, and their turn goes to the next", async () => {
    const slots = slotsOf(1);
    const { take, order, release } = taker(slots);
    await take("a", "first");
    const gone = new AbortController();
    const left = take("b", "first", gone.signal);
    const next = take("c", "first");
    await settled();
    gone.abort(new Error("left"));
    await left;
    release("a");
    await next;
    expect(order).toEqual(["a", "b: left", "c"]);
    expect(slots.waiting).toBe(0);
  });

  it("are not lost on who leaves in the moment of its turn", async () => {
    const slots = slotsOf(1);
    const { take, release } = taker(slots);
    await take("a", "first");
    const gone = new AbortController();
    const left = take("b", "first", gone.signal);
    await settled();
    gone.abort(new Error("left"));
    release("a");
    await left;
    await settled();
    expect(slots.running).toBe(0);
  });

  it("are waited for no longer than is of use, and by no more than is sensible", async () => {
    vi.useFakeTimers();
    try {
      const slots = slotsOf(1, { queueAtMost: 2 });
      await slots.take("first", EVER);
      const late = expect(slots.take("first", EVER)).rejects.toMatchObject({ code: "UNAVAILABLE", retryAfterMs: 5_000 });
      slots.take("bulk", EVER).catch(() => undefined);
      await expect(slots.take("first", EVER)).rejects.toMatchObject({ code: "UNAVAILABLE", status: 503 });
      await vi.advanceTimersByTimeAsync(30_000);
      await late;
      expect(slots.waiting).toBe(0);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it("are refused to all who wait, and to nobody who comes later", async () => {
    const slots = slotsOf(1);
    const { take, order, release } = taker(slots);
    await take("a", "first");
    const waiting = [take("b", "first"), take("c", "bulk")];
    await settled();
    slots.refuse(new Error("away"));
    await Promise.all(waiting);
    release("a");
    await take("d", "first");
    expect(order).toEqual(["a", "b: away", "c: away", "d"]);
  });

  it("are not all one client's, nor is the room to wait, however long it keeps what it has", async () => {
    const slots = slotsOf(16, { queueAtMost: 40 });
    const greedy = (urgency: Urgency) => slots.take(urgency, EVER, "192.0.2.1").catch((error: Error) => error);
    const all = Array.from({ length: 100 }, () => greedy("bulk"));
    await settled();
    expect([slots.running, slots.waiting]).toEqual([10, 30]);
    const other = await Promise.all([1, 2, 3, 4].map(() => slots.take("bulk", EVER, "192.0.2.2")));
    expect([slots.running, slots.waiting]).toEqual([14, 30]);
    other[0]!();
    await settled();
    expect([slots.running, slots.waiting]).toEqual([13, 30]);
    const first = await all[0]!;
    (first as Release)();
    await settled();
    expect([slots.running, slots.waiting]).toEqual([13, 29]);
    slots.refuse(new Error("enough"));
    await Promise.all(all);
  });

  const CLIENTS = ["", "a", "b"];
  const shareOf = (many: number) => (many < 4 ? many : many - Math.ceil(many / 4));
  type Step =
    | { readonly do: "take"; readonly urgency: Urgency; readonly client: string }
    | { readonly do: "release" | "abort"; readonly which: number }
    | { readonly do: "refuse" };
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant("take" as const),
        urgency: fc.constantFrom<Urgency>("first", "bulk"),
        client: fc.constantFrom(...CLIENTS),
      }),
    },
    { weight: 5, arbitrary: fc.record({ do: fc.constantFrom("release" as const, "abort" as const), which: fc.nat(30) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("refuse" as const) }) },
  );

  it("are never more than there are, never idle while somebody may have them, and all there in the end, in whatever order", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 9 }),
        fc.array(step, { maxLength: 60 }),
        fc.array(fc.boolean()),
        async (total, steps, turns) => {
          const slots = slotsOf(total);
          const running: { urgency: Urgency; client: string; release: Release }[] = [];
          const waiting = new Set<{ urgency: Urgency; client: string; stop: AbortController }>();
          const works: Promise<void>[] = [];
          const take = (urgency: Urgency, client: string) => {
            const one = { urgency, client, stop: new AbortController() };
            waiting.add(one);
            const work = slots.take(urgency, one.stop.signal, client).then(
              (release) => void running.push({ urgency, client, release }),
              () => undefined,
            );
            works.push(work.finally(() => waiting.delete(one)));
          };
          const bulkAtMost = total - Math.min(total - 1, Math.ceil(total / 8));
          for (const [n, next] of steps.entries()) {
            if (next.do === "take") take(next.urgency, next.client);
            if (next.do === "release") running.splice(next.which % Math.max(1, running.length), 1)[0]?.release();
            if (next.do === "abort") [...waiting][next.which % Math.max(1, waiting.size)]?.stop.abort(new Error("left"));
            if (next.do === "refuse") slots.refuse(new Error("away"));
            expect(slots.running).toBeLessThanOrEqual(total);
            if (turns[n % Math.max(1, turns.length)] === false) continue;
            await settled();
            const bulk = running.filter(({ urgency }) => urgency === "bulk").length;
            expect(slots.running).toBe(running.length);
            expect(bulk).toBeLessThanOrEqual(bulkAtMost);
            const has = (one: { urgency: Urgency; client: string }) =>
              running.filter(({ urgency, client }) => urgency === one.urgency && client === one.client).length;
            const may = (one: { urgency: Urgency; client: string }) =>
              has(one) < shareOf(one.urgency === "bulk" ? bulkAtMost : total);
            for (const client of CLIENTS) expect(has({ urgency: "bulk", client })).toBeLessThanOrEqual(shareOf(bulkAtMost));
            const hungry = [...waiting].filter((one) => may(one) && (one.urgency === "first" || bulk < bulkAtMost));
            if (hungry.length > 0) expect(slots.running).toBe(total);
          }
          for (const { stop } of waiting) stop.abort(new Error("left"));
          await Promise.all(works);
          for (const { release } of running) release();
          await settled();
          expect([slots.running, slots.waiting]).toEqual([0, 0]);
        },
      ),
    );
  });
});
