import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { OciError } from "../../src/oci/error.ts";
import { UpstreamHealth } from "../../src/upstream/health.ts";

const AWAY = new OciError("UPSTREAM_UNREACHABLE", "registry.example cannot be reached: ECONNREFUSED");
const LOOP = new OciError("LOOP_DETECTED", "registry.example leads back to Layover");
const BUSY = new OciError("UPSTREAM_INVALID", "registry.example answers 503", {
  upstream: { status: 503, challenges: [], contentType: undefined, body: "", retryAfter: undefined },
});
/** More than the longest pause, jitter included. Milliseconds. */
const LONG = 7_000;

const breaker = () => {
  const lines: string[] = [];
  const probe = vi.fn(() => Promise.reject<unknown>(AWAY));
  const health = new UpstreamHealth("registry.example", probe, pino({}, { write: (line: string) => void lines.push(line) }));
  onTestFinished(() => health.close());
  return { health, probe, lines };
};

/** The next probe lasts until what this gives is called. */
const slowly = (probe: ReturnType<typeof breaker>["probe"]): ((reason: unknown) => void) => {
  const { promise, reject } = Promise.withResolvers<never>();
  probe.mockReturnValueOnce(promise);
  return reject;
};

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("the health of an upstream", () => {
  it("costs nothing while it is up", () => {
    const { health, lines } = breaker();
    health.answered();
    expect(health.up).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
    expect(lines).toEqual([]);
  });

  it("is down from the first failure, and up again when a probe is answered", async () => {
    const { health, probe } = breaker();
    health.failed(AWAY);
    expect(health.up).toBe(false);
    await vi.advanceTimersByTimeAsync(400);
    expect(probe).toHaveBeenCalledTimes(1);
    expect(health.up).toBe(false);
    probe.mockResolvedValue({ status: 401 });
    await vi.advanceTimersByTimeAsync(LONG);
    expect(health.up).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("takes any answer for life: also 503", async () => {
    const { health, probe } = breaker();
    probe.mockRejectedValue(BUSY);
    health.failed(AWAY);
    await vi.advanceTimersByTimeAsync(400);
    expect(health.up).toBe(true);
  });

  it("does not take itself for an answer", async () => {
    const { health, probe } = breaker();
    probe.mockRejectedValue(LOOP);
    health.failed(AWAY);
    await vi.advanceTimersByTimeAsync(LONG);
    expect(health.up).toBe(false);
  });

  it("asks less and less often, up to every five seconds or so", async () => {
    const { health, probe } = breaker();
    health.failed(AWAY);
    await vi.advanceTimersByTimeAsync(60_000);
    const times = probe.mock.calls.length;
    expect(times).toBeGreaterThanOrEqual(11);
    expect(times).toBeLessThanOrEqual(20);
  });

  it("asks quickly again after it has been up", async () => {
    const { health, probe } = breaker();
    health.failed(AWAY);
    await vi.advanceTimersByTimeAsync(60_000);
    health.answered();
    health.failed(AWAY);
    probe.mockClear();
    await vi.advanceTimersByTimeAsync(400);
    expect(probe).toHaveBeenCalledTimes(1);
  });

  it("has one probe at a time, however many fail, and however long it takes", async () => {
    const { health, probe } = breaker();
    const fail = slowly(probe);
    for (let n = 0; n < 10; n += 1) health.failed(AWAY);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(LONG);
    health.failed(AWAY);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(probe).toHaveBeenCalledTimes(1);
    fail(AWAY);
    await vi.advanceTimersByTimeAsync(700);
    expect(probe).toHaveBeenCalledTimes(2);
  });

  it("is up as soon as a question is answered, and a probe that fails later does not change that", async () => {
    const { health, probe } = breaker();
    const fail = slowly(probe);
    health.failed(AWAY);
    await vi.advanceTimersByTimeAsync(400);
    health.answered();
    fail(AWAY);
    await vi.advanceTimersByTimeAsync(LONG);
    expect(health.up).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("asks no more once it is closed: neither by a timer, nor after a probe, nor after a failure", async () => {
    const { health, probe } = breaker();
    const fail = slowly(probe);
    health.failed(AWAY);
    await vi.advanceTimersByTimeAsync(400);
    health.close();
    fail(AWAY);
    await vi.advanceTimersByTimeAsync(0);
    health.failed(AWAY);
    await vi.advanceTimersByTimeAsync(LONG);
    expect(probe).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("has nothing more to say once it is closed", async () => {
    const { health, probe, lines } = breaker();
    const { promise, resolve } = Promise.withResolvers<never>();
    probe.mockReturnValueOnce(promise);
    health.failed(AWAY);
    await vi.advanceTimersByTimeAsync(400);
    health.close();
    resolve(undefined as never);
    await vi.advanceTimersByTimeAsync(0);
    expect(lines).toHaveLength(1);
  });

  it("says once that it went away, with why, and once that it is back", async () => {
    const { health, probe, lines } = breaker();
    health.failed(AWAY);
    health.failed(AWAY);
    probe.mockResolvedValue(undefined);
    await vi.advanceTimersByTimeAsync(LONG);
    const said = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(said).toMatchObject([
      { site: "registry.example", err: AWAY.message, msg: "upstream is away" },
      { site: "registry.example", msg: "upstream answers again" },
    ]);
  });
});
