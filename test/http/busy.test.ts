// A queue of our own is no outage: what a client brings about itself gives it no right that upstream would not give it.
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { hold } from "../faults/behaviours.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { HOUR, MINUTE } from "../registry/stack.ts";
import { siteDoor } from "./site-door.ts";

const ANN = `Basic ${Buffer.from("ann:pw").toString("base64")}`;

/** Ann has had a right once, and all that she may have of the site's slots is taken by questions of hers about something else. */
const world = async (answers: number) => {
  const owners: Record<string, string> = { "ann/app": "ann" };
  const upstream = await faultUpstream({ auth: { kind: "basic", users: { ann: "pw", bob: "pw" }, owners } });
  const door = await siteDoor(upstream, { concurrency: 4 });
  const { layers, top } = upstream.content.seed({ repo: "ann/app", tag: "v1" });
  upstream.content.seed({ repo: "open/app", tag: "v1" });
  const ask = (path: string, authorization = ANN) => door.ask(`/v2/${path}`, { headers: { authorization } });
  const paths = [
    `ann/app/blobs/${layers[0]!.digest}`,
    `ann/app/manifests/${top.digest}`,
    "ann/app/manifests/v1",
    "ann/app/tags/list",
  ];
  for (const path of paths) expect((await ask(path)).status).toBe(200);
  owners["ann/app"] = "bob";
  upstream.fault(/^\/v2\/open\/app\/tags/, ({ answer }) => {
    answer.before = sleep(200);
  });
  const crowd = Array.from({ length: answers }, (_, n) => ask(`open/app/tags/list?n=${n + 1}`).catch(() => undefined));
  return { upstream, door, paths, ask, crowd };
};

describe("who has been struck off", () => {
  it("is not let in because questions of its own keep it waiting", { timeout: 30_000 }, async () => {
    const { door, paths, ask, crowd } = await world(60);
    door.grant("ann/app", ANN, 10 * MINUTE, 5 * MINUTE);
    await sleep(100);
    const answers = await Promise.all(paths.map((path) => ask(path)));
    expect(answers.map(({ status }) => status)).toEqual(paths.map(() => 403));
    await Promise.all(crowd);
  });

  it("is served in a crowd what has been everybody's, as upstream may have no say in time", { timeout: 30_000 }, async () => {
    const { door, paths, ask, crowd } = await world(60);
    door.grant("ann/app", undefined, 2 * HOUR, HOUR);
    await door.forget("ann/app", ANN);
    await sleep(100);
    const answers = await Promise.all(paths.map((path) => ask(path)));
    expect(answers.map(({ headers }) => headers["x-cache"])).toEqual(paths.map(() => "STALE"));
    await Promise.all(crowd);
  });

  it("nor kept for long from what it had a right to where upstream leaves that very question unanswered", {
    timeout: 30_000,
  }, async () => {
    const { door, upstream, paths, ask } = await world(0);
    door.grant("ann/app", ANN, 10 * MINUTE, 5 * MINUTE);
    upstream.fault(/^\/v2\/ann/, hold(new Promise(() => undefined)));
    const others = (async () => {
      for (let n = 0; n < 20; n += 1) await ask(`open/app/tags/list?n=${n + 1}`);
    })();
    const began = performance.now();
    expect((await ask(paths[0]!)).headers["x-cache"]).toBe("STALE");
    expect(performance.now() - began).toBeLessThan(5_000);
    await others;
  });
});
