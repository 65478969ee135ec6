// Whatever happens to an upstream, in whatever order: one question at a time while it fails, one look at a time while it is gone, one success
// closes, and nothing is left behind.
import fc from "fast-check";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { silent } from "../../src/lib/log.ts";
import { OciError } from "../../src/oci/error.ts";
import { Breaker, type Kind } from "../../src/upstream/breaker.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const GONE = new OciError("UPSTREAM_UNREACHABLE", "gone");

type Step =
  | { readonly do: "answer"; readonly kind: Kind; readonly status: number; readonly retryAfter: string | undefined }
  | { readonly do: "gone" | "late" | "leave" }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "enter"; readonly key: string };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant("answer" as const),
    kind: fc.constantFrom<Kind>("question", "blob", "ping", "look", "token"),
    status: fc.constantFrom(200, 307, 401, 403, 404, 429, 500, 502, 503),
    retryAfter: fc.constantFrom(undefined, "0", "3", "99999999", "soon"),
  }),
  fc.record({ do: fc.constantFrom("gone" as const, "late" as const, "leave" as const) }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 40_000 }) }),
  fc.record({ do: fc.constant("enter" as const), key: fc.constantFrom("a", "b", "c") }),
);

it("keeps its promises", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 50 }), fc.array(fc.boolean(), { minLength: 1 }), async (steps, looks) => {
      let looking = 0;
      let mostLooking = 0;
      let nth = 0;
      let trials = 0;
      const look = async () => {
        looking += 1;
        mostLooking = Math.max(mostLooking, looking);
        await new Promise((resolve) => setTimeout(resolve, 300));
        looking -= 1;
        nth += 1;
        if (looks[nth % looks.length] === false) throw GONE;
      };
      const now = () => performance.now();
      const breaker = new Breaker({ site: "a", name: "https://a", look, log: silent, now, clock: Date.now });
      const inside: (() => void)[] = [];
      const works: Promise<unknown>[] = [];
      for (const next of steps) {
        if (next.do === "answer") breaker.answered(next.kind, { ...next, isPage: false });
        if (next.do === "gone") breaker.unreachable(GONE);
        if (next.do === "late") breaker.late();
        if (next.do === "leave") inside.shift()?.();
        if (next.do === "wait") await vi.advanceTimersByTimeAsync(next.ms);
        if (next.do === "enter") {
          const isFailing = breaker.standing.state === "failing";
          const entered = breaker.enter(next.key, new AbortController().signal).then(
            (leave) => {
              const isTrial = breaker.standing.state === "failing";
              if (isTrial) expect(trials).toBe(0);
              if (isTrial) trials += 1;
              inside.push(() => {
                leave();
                if (isTrial) trials -= 1;
              });
            },
            (error: unknown) => expect(error).toBeInstanceOf(OciError),
          );
          works.push(entered);
          await vi.advanceTimersByTimeAsync(0);
          if (isFailing) expect(breaker.up).toBe(false);
        }
        if (next.do === "answer" && (next.kind === "question" || next.kind === "blob") && [200, 307, 404].includes(next.status))
          expect([breaker.up, breaker.answersPings]).toEqual([true, true]);
        expect(mostLooking).toBeLessThanOrEqual(1);
      }
      // whoever waits does so for a second at most
      await vi.advanceTimersByTimeAsync(1_300);
      await Promise.all(works);
      for (const leave of inside) leave();
      // left alone, it is asked again before long
      await vi.advanceTimersByTimeAsync(120_000);
      if (breaker.standing.state === "failing") expect(breaker.up).toBe(true);
      breaker.answered("question", { status: 200, isPage: false, retryAfter: undefined });
      expect(breaker.up).toBe(true);
      breaker.close();
      await vi.advanceTimersByTimeAsync(1_000);
      expect(vi.getTimerCount()).toBe(0);
    }),
    { numRuns: 300 },
  );
});
