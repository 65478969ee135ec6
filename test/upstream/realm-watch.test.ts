import { describe, expect, it } from "vitest";
import { realmWatch } from "../../src/upstream/realm-watch.ts";
import { status } from "../faults/behaviours.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { transportFor } from "./asking.ts";

const world = async () => {
  const upstream = await faultUpstream();
  const time = { now: 1_000 };
  const isGone = realmWatch(transportFor(), upstream.url, () => time.now);
  const challenge = [`Bearer realm="${upstream.url.origin}/token",service="x"`];
  /** What is found out behind this client has been found out when it gives. */
  const gone = async () => {
    const answer = await isGone(challenge);
    await new Promise((resolve) => setTimeout(resolve, 50));
    return answer;
  };
  return { upstream, time, gone, isGone };
};

describe("a realm", () => {
  it("is taken to be gone where it has answered, and then not twice in a row", async () => {
    const { upstream, time, gone } = await world();
    expect(await gone()).toBe(false);
    expect(upstream.count()).toBe(1);
    await upstream.stop();
    // it was there a moment ago
    expect(await gone()).toBe(false);
    time.now += 10_000;
    expect([await gone(), await gone()]).toEqual([false, false]);
    time.now += 1_000;
    expect([await gone(), await gone()]).toEqual([true, true]);
    // whoever comes when it is back is sent there
    await upstream.start();
    expect(await gone()).toBe(false);
    upstream.fault(/token/, status(502), 1);
    time.now += 10_000;
    expect([await gone(), await gone()]).toEqual([false, false]);
    time.now += 1_000;
    expect(await gone()).toBe(false);
  });

  it("is looked for once for all who come", async () => {
    const { upstream, gone, time } = await world();
    await Promise.all(Array.from({ length: 20 }, gone));
    expect(upstream.count()).toBe(1);
    time.now += 10_000;
    await Promise.all(Array.from({ length: 20 }, gone));
    expect(upstream.count()).toBe(2);
  });

  it("that was never reached may be there for others", async () => {
    const { upstream, time, gone } = await world();
    await upstream.stop();
    for (let n = 0; n < 4; n += 1) {
      expect(await gone()).toBe(false);
      time.now += 10_000;
    }
  });

  it("that is none, or none that may be asked, is not gone", async () => {
    const { isGone, upstream } = await world();
    for (const challenges of [[], ['Basic realm="x"'], ['Bearer realm="file:///etc/passwd"']])
      expect(await isGone(challenges)).toBe(false);
    expect(upstream.log).toEqual([]);
  });
});
