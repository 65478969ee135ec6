// What real clients sent, played to a real front end: the answers are right, upstream is asked no more than it must be, pushes arrive as they are.
import { describe, expect, it } from "vitest";
import { downloads, isFetch, judge, judgeArrival } from "./judge.ts";
import { recordings, type Session } from "./recording.ts";
import { sceneOf } from "./scene.ts";

const isPull = ({ scenario }: Session) => scenario.startsWith("pull");
const isTorn = ({ scenario }: Session) => scenario === "pull by tag, torn";

describe.each(recordings().map((recording) => [recording.client, recording] as const))("%s", (_client, recording) => {
  it("is answered as it was, moves each blob once, and no manifest or blob when it comes again", async () => {
    const scene = await sceneOf(recording);
    for (const session of recording.sessions) {
      for (const each of await scene.replay.play(session)) {
        judge(scene, each);
        judgeArrival(scene, each);
      }
    }
    for (const [digest, asked] of downloads(scene)) {
      expect
        .soft(
          asked.map(({ bytes }) => bytes),
          digest,
        )
        .toEqual([scene.replay.bytesOf(digest).length]);
    }
    for (const upstream of scene.upstreams) upstream.clear();
    for (const session of recording.sessions.filter(isPull)) {
      for (const each of await scene.replay.play(session)) judge(scene, each);
    }
    const gets = scene.upstreams.flatMap((upstream) => upstream.requests((each) => isFetch(each) && each.path !== "/v2/"));
    expect(gets.map(({ path }) => path)).toEqual([]);
  });

  it("torn in mid-blob at first sight, costs upstream one download", async () => {
    const scene = await sceneOf(recording);
    const session = recording.sessions.find(isTorn)!;
    expect(session.requests.filter(({ torn }) => torn).length).toBe(1);
    for (const each of await scene.replay.play(session)) judge(scene, each);
    for (const [digest, asked] of downloads(scene)) expect.soft(asked.length, digest).toBe(1);
  });
});
