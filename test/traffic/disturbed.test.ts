// However a recorded request is cut on its way, and in whatever order and case its headers come, it means the same.
import fc from "fast-check";
import { describe, expect, it, onTestFailed } from "vitest";
import { judge, judgeArrival } from "./judge.ts";
import { type Asked, type Headers, type Recording, recordings } from "./recording.ts";
import { type Disturbance, OPEN } from "./replay.ts";
import { sceneOf } from "./scene.ts";

const clients = recordings().map((recording) => [recording.client, recording] as const);

describe.each(clients)("%s", (_client, recording) => {
  it("is answered as it was when headers are shuffled and bytes come in pieces", async () => {
    const property = fc.asyncProperty(fc.gen(), async (draw) => {
      const scene = await sceneOf(recording, disturbanceOf(draw));
      for (const session of recording.sessions) {
        for (const each of await scene.replay.play(session)) {
          judge(scene, each);
          judgeArrival(scene, each);
        }
      }
    });
    const seed = Date.now() % 2 ** 31;
    onTestFailed(() => console.error(`it was drawn with the seed ${seed}`)); // what is wrong is not thrown, but noted
    await fc.assert(property, { numRuns: 1, seed });
  });

  it("is understood wherever the head of its longest read is cut", async () => {
    let cuts = 0;
    const inPieces = (bytes: Buffer) => [bytes.subarray(0, ++cuts), bytes.subarray(cuts)];
    // some close after each request: a connection for each cut would be all that takes time here
    const inOrder = (headers: Headers) => headers.filter(([name]) => name !== "Connection");
    const scene = await sceneOf(recording, { inPieces, inOrder });
    const asked = longestRead(recording);
    const [method, target] = asked.ask.split(" ") as [string, string];
    const headers = inOrder(await scene.replay.headersOf(asked));
    const { length } = scene.replay.messageOf(asked, method, target, headers)[0]!;
    const requests = Array.from({ length: length - 1 }, (_, n) => ({ ...asked, wave: n, on: 0 }));
    const replayed = await scene.replay.play({ scenario: "every cut", command: "", succeeded: true, requests });
    expect(cuts).toBe(length - 1);
    for (const each of replayed) judge(scene, each);
  });
});

type Draw = fc.GeneratorValue;

const disturbanceOf = (draw: Draw): Disturbance => ({
  inOrder: (headers) => shuffled(draw, headers).map(([name, value]) => [draw(fc.mixedCase, fc.constant(name)), value] as const),
  inPieces: (bytes) => {
    const cuts = draw(fc.array, fc.nat({ max: bytes.length }), { maxLength: 4 }).toSorted((one, other) => one - other);
    return [0, ...cuts].map((from, n) => bytes.subarray(from, cuts[n] ?? bytes.length)).filter(({ length }) => length > 0);
  },
});

/** Lines of one name keep their order: they are one list. */
const shuffled = (draw: Draw, headers: Headers): Headers => {
  const groups = [...Map.groupBy(headers, ([name]) => name.toLowerCase()).values()];
  return draw(fc.shuffledSubarray, groups, { minLength: groups.length }).flat();
};

const longestRead = ({ sessions, headers }: Recording): Asked => {
  const length = ({ headers: n }: Asked) => JSON.stringify(headers[n]).length;
  const reads = sessions
    .flatMap(({ requests }) => requests)
    .filter(({ ask }) => /^(GET|HEAD) \/v2\/acme\/app\/manifests/.test(ask));
  const isOpen = ({ headers: n }: Asked) => headers[n]!.some(([, value]) => value === OPEN);
  return reads.filter((each) => isOpen(each) && each.status === 200).toSorted((one, other) => length(other) - length(one))[0]!;
};
