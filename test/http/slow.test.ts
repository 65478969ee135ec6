// An upstream that answers, but later than a client waits who can be served from what is held.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { faultUpstream } from "../faults/upstream.ts";
import { startFront } from "../front.ts";

const APP = "/v2/acme/app/manifests/v1";
const OTHER = "/v2/acme/other/manifests/v1";

it("is heard all the same: what is held moves, and nothing else is taken to be away", { timeout: 30_000 }, async () => {
  const upstream = await faultUpstream();
  for (const repo of ["acme/app", "acme/other"]) upstream.content.seed({ repo, tag: "v1" });
  const front = await startFront(upstream, { freshFor: "1s" });
  await front.ask("/v2/");
  for (const path of [APP, OTHER]) expect((await front.ask(path)).headers["x-cache"]).toBe("MISS");
  const { top } = upstream.content.seed({ repo: "acme/app", tag: "v1", layers: [77] });
  upstream.fault(/acme\/app\/manifests/, ({ answer }) => {
    answer.before = sleep(3_000);
  });
  await sleep(1_100);
  const slow = front.ask(APP);
  await sleep(500);
  expect((await front.ask(OTHER)).headers["x-cache"]).toBe("REVALIDATED");
  expect((await slow).headers["x-cache"]).toBe("STALE");
  await sleep(1_100);
  expect((await front.ask(OTHER)).headers["x-cache"]).toBe("REVALIDATED");
  await expect.poll(async () => (await front.ask(APP)).body.equals(top.bytes), { timeout: 15_000, interval: 1_000 }).toBe(true);
  expect(upstream.count(/acme\/app\/manifests/)).toBeLessThanOrEqual(5);
});
