// One breaker by itself, with a clock that tests turn: what opens it, what closes it, and who is let through meanwhile.
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { OciError } from "../../src/oci/error.ts";
import { Breaker, type Heard } from "../../src/upstream/breaker.ts";

const AWAY = new OciError("UPSTREAM_UNREACHABLE", "registry.example cannot be reached: ECONNREFUSED");
const LOOP = new OciError("LOOP_DETECTED", "registry.example leads back to Layover");
const answers = (status: number) =>
  new OciError("UPSTREAM_INVALID", `registry.example answers ${status}`, {
    upstream: { status, challenges: [], contentType: undefined, body: "", retryAfter: undefined },
  });
/** More than the longest pause between two looks, jitter included. Milliseconds. */
const LONG = 7_000;
/** More than the longest pause between two tries. */
const LONGER = 40_000;
const EVER = new AbortController().signal;

const breakerWith = () => {
  const lines: string[] = [];
  const look = vi.fn(() => Promise.reject<unknown>(AWAY));
  const log = pino({}, { write: (line: string) => void lines.push(line) });
  const now = () => performance.now();
  const breaker = new Breaker({ site: "registry.example", name: "https://a.example", look, log, now, clock: Date.now });
  onTestFinished(() => breaker.close());
  const heard = (status: number, more: Partial<Heard> = {}) =>
    breaker.answered("question", { status, isPage: false, retryAfter: undefined, ...more });
  const failing = () => {
    for (let n = 0; n < 3; n += 1) heard(500);
  };
  return { breaker, look, lines, heard, failing };
};

/** The next look lasts until what this gives is called. */
const slowly = (look: ReturnType<typeof breakerWith>["look"]): ((reason: unknown) => void) => {
  const { promise, reject } = Promise.withResolvers<never>();
  look.mockReturnValueOnce(promise);
  return reject;
};

/** What became of going in. */
const entry = (breaker: Breaker, key = "a", signal = EVER) =>
  breaker.enter(key, signal).then(
    (leave) => leave,
    (error: unknown) => error as OciError,
  );

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("an upstream that cannot be reached", () => {
  it("costs nothing while it is up", () => {
    const { breaker, lines, heard } = breakerWith();
    heard(200);
    expect(breaker.up).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
    expect(lines).toEqual([]);
  });

  it("is down from the first failure, and up again when a look is answered", async () => {
    const { breaker, look } = breakerWith();
    breaker.unreachable(AWAY);
    expect(breaker.up).toBe(false);
    await vi.advanceTimersByTimeAsync(400);
    expect(look).toHaveBeenCalledTimes(1);
    expect(breaker.up).toBe(false);
    look.mockResolvedValue({ status: 401 });
    await vi.advanceTimersByTimeAsync(LONG);
    expect(breaker.up).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each([401, 404, 429])("takes %i for life", async (status) => {
    const { breaker, look } = breakerWith();
    look.mockRejectedValue(answers(status));
    breaker.unreachable(AWAY);
    await vi.advanceTimersByTimeAsync(400);
    expect(breaker.up).toBe(true);
  });

  it("does not take 503 for life, which may come of what stands before it", async () => {
    const { breaker, look } = breakerWith();
    look.mockRejectedValue(answers(503));
    breaker.unreachable(AWAY);
    await vi.advanceTimersByTimeAsync(LONG);
    expect(breaker.up).toBe(false);
  });

  it("does not take itself for an answer", async () => {
    const { breaker, look } = breakerWith();
    look.mockRejectedValue(LOOP);
    breaker.unreachable(AWAY);
    await vi.advanceTimersByTimeAsync(LONG);
    expect(breaker.up).toBe(false);
  });

  it("asks less and less often, up to every five seconds or so", async () => {
    const { breaker, look } = breakerWith();
    breaker.unreachable(AWAY);
    await vi.advanceTimersByTimeAsync(60_000);
    const times = look.mock.calls.length;
    expect(times).toBeGreaterThanOrEqual(11);
    expect(times).toBeLessThanOrEqual(20);
  });

  it("asks quickly again after it has been up", async () => {
    const { breaker, look, heard } = breakerWith();
    breaker.unreachable(AWAY);
    await vi.advanceTimersByTimeAsync(60_000);
    heard(200);
    breaker.unreachable(AWAY);
    look.mockClear();
    await vi.advanceTimersByTimeAsync(400);
    expect(look).toHaveBeenCalledTimes(1);
  });

  it("has one look at a time, however many fail, and however long it takes", async () => {
    const { breaker, look } = breakerWith();
    const fail = slowly(look);
    for (let n = 0; n < 10; n += 1) breaker.unreachable(AWAY);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(LONG);
    breaker.unreachable(AWAY);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(look).toHaveBeenCalledTimes(1);
    fail(AWAY);
    await vi.advanceTimersByTimeAsync(700);
    expect(look).toHaveBeenCalledTimes(2);
  });

  it("is up as soon as a question is answered, and a look that fails later does not change that", async () => {
    const { breaker, look, heard } = breakerWith();
    const fail = slowly(look);
    breaker.unreachable(AWAY);
    await vi.advanceTimersByTimeAsync(400);
    heard(200);
    fail(AWAY);
    await vi.advanceTimersByTimeAsync(LONG);
    expect(breaker.up).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("asks no more once it is closed: neither by a timer, nor after a look, nor after a failure", async () => {
    const { breaker, look } = breakerWith();
    const fail = slowly(look);
    breaker.unreachable(AWAY);
    await vi.advanceTimersByTimeAsync(400);
    breaker.close();
    fail(AWAY);
    await vi.advanceTimersByTimeAsync(0);
    breaker.unreachable(AWAY);
    await vi.advanceTimersByTimeAsync(LONG);
    expect(look).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("has nothing more to say once it is closed", async () => {
    const { breaker, look, lines } = breakerWith();
    const { promise, resolve } = Promise.withResolvers<never>();
    look.mockReturnValueOnce(promise);
    breaker.unreachable(AWAY);
    await vi.advanceTimersByTimeAsync(400);
    breaker.close();
    resolve(undefined as never);
    await vi.advanceTimersByTimeAsync(0);
    expect(lines).toHaveLength(1);
  });

  it("says once that it went away, with why, and once that it is back", async () => {
    const { breaker, look, lines } = breakerWith();
    breaker.unreachable(AWAY);
    breaker.unreachable(AWAY);
    look.mockResolvedValue(undefined);
    await vi.advanceTimersByTimeAsync(LONG);
    const said = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(said).toMatchObject([
      { site: "registry.example", upstream: "https://a.example", err: AWAY.message, msg: "upstream is away" },
      { site: "registry.example", upstream: "https://a.example", msg: "upstream answers again" },
    ]);
  });
});

describe("an upstream that fails", () => {
  it("is no outage for one 5xx, nor for two, nor for many with answers between them", () => {
    const { breaker, heard, lines } = breakerWith();
    for (let n = 0; n < 10; n += 1) {
      heard(500);
      heard(502);
      expect(breaker.up).toBe(true);
      heard(n % 2 === 0 ? 200 : 404);
    }
    expect(lines).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is one for three in a row, and looks at nothing by itself: a real question must show that it is over", async () => {
    const { breaker, failing, look } = breakerWith();
    failing();
    expect(breaker.up).toBe(false);
    await vi.advanceTimersByTimeAsync(LONGER);
    expect(look).not.toHaveBeenCalled();
    expect(breaker.standing).toMatchObject({ state: "failing", why: "it answers 500", forMs: LONGER });
  });

  it.each(["ping", "look", "token"] as const)("is not well because a %s is answered", (kind) => {
    const { breaker, failing, heard } = breakerWith();
    failing();
    breaker.answered(kind, { status: 200, isPage: false, retryAfter: undefined });
    expect(breaker.up).toBe(false);
    heard(200);
    expect(breaker.up).toBe(true);
  });

  it.each([401, 403, 429])("is neither well nor worse because of %i", (status) => {
    const { breaker, failing, heard } = breakerWith();
    heard(500);
    heard(status);
    heard(500);
    heard(status);
    expect(breaker.up).toBe(true);
    heard(500);
    expect(breaker.up).toBe(false);
    heard(status);
    expect(breaker.up).toBe(false);
    heard(404);
    failing();
    heard(status);
    expect(breaker.up).toBe(false);
  });

  it("counts a captive portal as one that fails, but not a page for an answer to a ping", () => {
    const { breaker, heard } = breakerWith();
    for (let n = 0; n < 3; n += 1) breaker.answered("ping", { status: 200, isPage: true, retryAfter: undefined });
    expect(breaker.up).toBe(true);
    for (let n = 0; n < 3; n += 1) heard(200, { isPage: true });
    expect(breaker.up).toBe(false);
  });

  it("answers pings for as long as pings are answered", () => {
    const { breaker, failing } = breakerWith();
    failing();
    expect(breaker.answersPings).toBe(true);
    breaker.answered("ping", { status: 503, isPage: false, retryAfter: undefined });
    expect(breaker.answersPings).toBe(false);
  });

  it("is tried by one question at a time, after pauses that grow", async () => {
    const { breaker, failing, heard } = breakerWith();
    failing();
    const pauses: number[] = [];
    for (let n = 0; n < 7; n += 1) {
      const began = performance.now();
      while (!breaker.up) await vi.advanceTimersByTimeAsync(25);
      pauses.push(performance.now() - began);
      const leave = (await entry(breaker, `question ${n}`)) as () => void;
      expect(breaker.up).toBe(false);
      heard(500);
      leave();
    }
    expect(pauses[0]).toBeLessThan(700);
    expect(pauses.at(-1)).toBeGreaterThan(22_000);
    expect(pauses.at(-1)).toBeLessThan(LONGER);
    for (let n = 1; n < 5; n += 1) expect(pauses[n]).toBeGreaterThan(pauses[n - 1]!);
  });

  it("does not wait longer because of what was under way when it began to fail", async () => {
    const { breaker, heard } = breakerWith();
    for (let n = 0; n < 60; n += 1) heard(500);
    await vi.advanceTimersByTimeAsync(700);
    expect(breaker.up).toBe(true);
    heard(200);
    for (let n = 0; n < 60; n += 1) heard(503, { retryAfter: "5" });
    await vi.advanceTimersByTimeAsync(4_900);
    expect(breaker.up).toBe(false);
    await vi.advanceTimersByTimeAsync(200);
    expect(breaker.up).toBe(true);
  });

  it("does not wait longer because of a thing that fails again and again for who holds nothing", async () => {
    const { breaker, failing, heard } = breakerWith();
    failing();
    const { nextTryInMs = 0 } = breaker.standing;
    for (let n = 0; n < 20; n += 1) {
      const leave = (await entry(breaker, `broken ${n}`)) as () => void;
      heard(500);
      leave();
    }
    expect(breaker.standing.nextTryInMs).toBe(nextTryInMs);
    await vi.advanceTimersByTimeAsync(nextTryInMs + 1);
    expect(breaker.up).toBe(true);
  });

  it("is left alone for as long as it asks for, by everybody, but not for ever", async () => {
    const { breaker, heard } = breakerWith();
    heard(503, { retryAfter: "20" });
    expect(await entry(breaker)).toMatchObject({ code: "UPSTREAM_UNREACHABLE", status: 503 });
    expect(((await entry(breaker)) as OciError).retryAfterMs).toBeGreaterThan(19_000);
    await vi.advanceTimersByTimeAsync(19_900);
    expect(breaker.up).toBe(false);
    await vi.advanceTimersByTimeAsync(200);
    expect(breaker.up).toBe(true);
    ((await entry(breaker)) as () => void)();
    heard(200);
    heard(503, { retryAfter: "999999999" });
    await vi.advanceTimersByTimeAsync(60_001);
    expect(breaker.up).toBe(true);
  });

  it("that was left alone as it asked for, and has been well since, is not when it fails again", async () => {
    const { breaker, heard, failing } = breakerWith();
    heard(503, { retryAfter: "20" });
    heard(200);
    failing();
    expect(typeof (await entry(breaker))).toBe("function");
    expect(breaker.standing.nextTryInMs).toBeLessThan(1_000);
  });

  it("lets who holds nothing ask, one at a time, and everybody at the first success", async () => {
    const { breaker, failing, heard } = breakerWith();
    failing();
    const first = (await entry(breaker, "a")) as () => void;
    const others = ["b", "c", "d"].map((key) => entry(breaker, key));
    await vi.advanceTimersByTimeAsync(500);
    heard(200);
    first();
    expect((await Promise.all(others)).map((one) => typeof one)).toEqual(["function", "function", "function"]);
    expect(breaker.up).toBe(true);
  });

  it("asks the same question once for all who wait, who share its failure; another one takes its turn", async () => {
    const { breaker, failing, heard } = breakerWith();
    failing();
    const first = (await entry(breaker, "a")) as () => void;
    const same = [entry(breaker, "a"), entry(breaker, "a")];
    const other = entry(breaker, "b");
    heard(500);
    first();
    for (const one of await Promise.all(same)) expect(one).toMatchObject({ code: "UPSTREAM_UNREACHABLE" });
    expect(typeof (await other)).toBe("function");
    // just now, and not again at once
    expect(await entry(breaker, "a")).toBeInstanceOf(OciError);
  });

  it("keeps nobody waiting for long behind a question that hangs", async () => {
    const { breaker, failing } = breakerWith();
    failing();
    await entry(breaker, "a");
    const other = entry(breaker, "b");
    await vi.advanceTimersByTimeAsync(1_001);
    expect(await other).toMatchObject({ code: "UPSTREAM_UNREACHABLE" });
  });

  it("lets who leaves go", async () => {
    const { breaker, failing } = breakerWith();
    failing();
    await entry(breaker, "a");
    const gone = new AbortController();
    const other = entry(breaker, "b", gone.signal);
    gone.abort(new Error("gone"));
    expect(await other).toMatchObject({ message: "gone" });
  });

  it("is one that does not answer in time, while one that is quick enough is not", async () => {
    const { breaker } = breakerWith();
    const over = breaker.sent("question");
    await vi.advanceTimersByTimeAsync(500);
    breaker.late();
    expect(breaker.up).toBe(true);
    await vi.advanceTimersByTimeAsync(1_500);
    over();
    breaker.late();
    expect(breaker.up).toBe(true);
    breaker.sent("blob");
    breaker.sent("question");
    await vi.advanceTimersByTimeAsync(2_000);
    breaker.late();
    expect(breaker.standing).toMatchObject({ state: "unreachable", why: "it does not answer in time" });
  });

  it("that does not answer in time is looked for at nobody's cost, and tried by a question only once it is found", async () => {
    const { breaker, look, heard } = breakerWith();
    breaker.sent("question");
    await vi.advanceTimersByTimeAsync(2_000);
    breaker.late();
    await vi.advanceTimersByTimeAsync(LONGER);
    expect(breaker.up).toBe(false);
    expect(look.mock.calls.length).toBeGreaterThan(5);
    look.mockResolvedValue(undefined);
    await vi.advanceTimersByTimeAsync(LONG);
    expect(breaker.standing.state).toBe("failing");
    await vi.advanceTimersByTimeAsync(LONGER);
    expect(breaker.up).toBe(true);
    ((await entry(breaker)) as () => void)();
    heard(200);
    expect(breaker.standing.state).toBe("up");
  });

  it("that is found again after it was out of reach, is up: it has kept nobody waiting", async () => {
    const { breaker, look } = breakerWith();
    breaker.sent("question");
    await vi.advanceTimersByTimeAsync(3_000);
    breaker.unreachable(AWAY);
    // it is no news that there was no answer
    breaker.late();
    look.mockResolvedValue(undefined);
    await vi.advanceTimersByTimeAsync(LONG);
    expect(breaker.standing.state).toBe("up");
  });

  it("that hangs in its trial too is left alone for longer, by those that hold something", async () => {
    const { breaker, look } = breakerWith();
    look.mockResolvedValue(undefined);
    const pauses: number[] = [];
    for (let n = 0; n < 6; n += 1) {
      const began = performance.now();
      while (!breaker.up) await vi.advanceTimersByTimeAsync(25);
      pauses.push(performance.now() - began);
      const leave = (await entry(breaker)) as () => void;
      const over = breaker.sent("question");
      await vi.advanceTimersByTimeAsync(2_000);
      breaker.late();
      over();
      leave();
      expect(breaker.up).toBe(false);
    }
    expect(pauses[0]).toBe(0);
    for (let n = 1; n < 4; n += 1) expect(pauses[n]).toBeGreaterThan(pauses[n - 1]!);
    expect(pauses.at(-1)).toBeGreaterThan(20_000);
  });
});

describe("a client that holds nothing", () => {
  it("has an upstream that is away looked for at once, with all others who come", async () => {
    const { breaker, look } = breakerWith();
    breaker.unreachable(AWAY);
    look.mockImplementation(() => new Promise((resolve) => setTimeout(resolve, 100)));
    const all = Array.from({ length: 50 }, (_, n) => entry(breaker, String(n)));
    await vi.advanceTimersByTimeAsync(100);
    for (const one of await Promise.all(all)) expect(typeof one).toBe("function");
    expect(look).toHaveBeenCalledTimes(1);
    expect(breaker.up).toBe(true);
  });

  it("shares the failure where it is still away, and the next one has it looked for again", async () => {
    const { breaker, look } = breakerWith();
    breaker.unreachable(AWAY);
    const all = await Promise.all(Array.from({ length: 50 }, () => entry(breaker)));
    for (const one of all) expect(one).toMatchObject({ code: "UPSTREAM_UNREACHABLE" });
    expect(look).toHaveBeenCalledTimes(1);
    look.mockResolvedValue(undefined);
    expect(typeof (await entry(breaker))).toBe("function");
  });

  it("does not wait for a look that takes long", async () => {
    const { breaker, look } = breakerWith();
    slowly(look);
    breaker.unreachable(AWAY);
    const one = entry(breaker);
    await vi.advanceTimersByTimeAsync(1_001);
    expect(await one).toMatchObject({ code: "UPSTREAM_UNREACHABLE" });
  });
});
