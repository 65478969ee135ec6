import { describe, expect, it } from "vitest";
import { realmProbe } from "../../src/upstream/realm.ts";
import { hold, status } from "../faults/behaviours.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { transportFor } from "./asking.ts";

const world = async () => {
  const upstream = await faultUpstream();
  const time = { now: 1_000 };
  const answers = realmProbe(transportFor(), upstream.url, () => time.now);
  const challenge = [`Bearer realm="${upstream.url.origin}/token",service="x"`];
  return { upstream, time, probe: () => answers(challenge), answers };
};

describe("a realm", () => {
  it.each([
    ["answers", status(200), true],
    ["refuses", status(401), true],
    ["has enough of us", status(429), true],
    ["fails", status(502), false],
  ])("that %s is asked once for all who come, and again after a while", async (_how, behaviour, says) => {
    const { upstream, probe, time } = await world();
    upstream.fault(/token/, behaviour);
    expect(new Set(await Promise.all(Array.from({ length: 50 }, probe)))).toEqual(new Set([says]));
    expect(await probe()).toBe(says);
    expect(upstream.count()).toBe(1);
    time.now += 10_000;
    expect(await probe()).toBe(says);
    await expect.poll(() => upstream.count()).toBe(2);
  });

  it("that is gone keeps only the first client waiting: it is looked for behind the others", async () => {
    const { upstream, probe, time } = await world();
    await upstream.stop();
    expect(await probe()).toBe(false);
    await upstream.start();
    const { promise, resolve: open } = Promise.withResolvers<void>();
    upstream.fault(/token/, hold(promise));
    time.now += 20_000;
    expect(await Promise.all([probe(), probe()])).toEqual([false, false]);
    open();
    await expect.poll(probe).toBe(true);
    expect(upstream.count()).toBe(1);
  });

  it("of which nobody has asked for long is asked before anybody is told", async () => {
    const { upstream, probe, time } = await world();
    await upstream.stop();
    expect(await probe()).toBe(false);
    await upstream.start();
    time.now += 300_000;
    expect(await probe()).toBe(true);
    await upstream.stop();
    time.now += 10_000;
    expect(await probe()).toBe(false);
  });

  it("that is none, or none that may be asked, is not", async () => {
    const { answers } = await world();
    expect(await answers([])).toBe(false);
    expect(await answers(['Basic realm="x"'])).toBe(false);
    expect(await answers(['Bearer realm="file:///etc/passwd"'])).toBe(false);
  });
});
