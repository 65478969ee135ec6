import { describe, expect, it } from "vitest";
import { silent } from "../../src/lib/log.ts";
import { OciError } from "../../src/oci/error.ts";
import { publicity } from "../../src/registry/publicity.ts";
import { manifest, stack } from "./stack.ts";

const HOUR = 3_600_000;

const world = () => {
  const { upstream, rights, pass } = stack();
  const query = manifest("acme/app", "v1");
  upstream.manifest("acme/app", "v1", {});
  const time = { now: 1_000 };
  const finder = publicity(upstream, rights, HOUR, silent, () => time.now);
  const ask = async () => {
    finder.find("getManifest", query);
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  return { upstream, rights, query, ask, time, pass };
};

describe("whether a repository is public", () => {
  it("is asked once in a while, however many clients are let in", async () => {
    const { upstream, ask, time } = world();
    for (let n = 0; n < 5; n += 1) await ask();
    expect(upstream.asked).toHaveLength(1);
    time.now += HOUR + 1;
    await ask();
    expect(upstream.asked).toHaveLength(2);
  });

  it.each([
    ["could not be asked", undefined, 60_000],
    ["says that it may be at once", 0, 60_000],
    ["has enough for now", 300_000, 300_000],
  ])("is asked again before long where upstream %s", async (_what, retryAfterMs, pause) => {
    const { upstream, ask, rights, query, time } = world();
    upstream.failure = new OciError("TOOMANYREQUESTS", "enough", { retryAfterMs });
    await ask();
    upstream.failure = undefined;
    upstream.repo("acme/app").isPublic = true;
    time.now += pause - 1_000;
    await ask();
    expect(upstream.asked).toHaveLength(1);
    time.now += 2_000;
    await ask();
    expect(upstream.asked).toHaveLength(2);
    expect(await rights.isPublic(query.repo)).toBe(true);
  });

  it("is no longer held to be so once upstream has refused it to an anonymous client, also in an outage", async () => {
    const { upstream, ask, rights, query, time, pass } = world();
    upstream.repo("acme/app").isPublic = true;
    await ask();
    expect(await rights.standing(query.repo, undefined)).toBe("live");
    upstream.repo("acme/app").isPublic = false;
    pass(2 * HOUR);
    time.now += 2 * HOUR;
    expect(await rights.standing(query.repo, undefined)).toBe("stale");
    await ask();
    expect(await rights.standing(query.repo, undefined)).toBe("none");
  });

  it("is still what it was where upstream hides it, or cannot be asked", async () => {
    const { upstream, ask, rights, query, time, pass } = world();
    upstream.repo("acme/app").isPublic = true;
    await ask();
    for (const failure of ["NAME_UNKNOWN", "UPSTREAM_UNREACHABLE"] as const) {
      pass(2 * HOUR);
      time.now += 2 * HOUR;
      upstream.failure = new OciError(failure, "no");
      await ask();
      expect(await rights.standing(query.repo, undefined)).toBe("stale");
    }
  });
});
