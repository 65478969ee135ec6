import { describe, expect, it } from "vitest";
import { silent } from "../../src/lib/log.ts";
import { OciError } from "../../src/oci/error.ts";
import { publicity } from "../../src/registry/publicity.ts";
import { manifest, stack } from "./stack.ts";

const HOUR = 3_600_000;

const world = () => {
  const { upstream, rights } = stack();
  const query = manifest("acme/app", "v1");
  upstream.manifest("acme/app", "v1", {});
  const time = { now: 1_000 };
  const finder = publicity(upstream, rights, HOUR, silent, () => time.now);
  const ask = async () => {
    finder.find("getManifest", query);
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  return { upstream, rights, query, ask, time };
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
});
