// A wrong or a short body never looks complete on the wire, whatever its length, and however it is asked for.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseDigest } from "../../src/oci/digest.ts";
import { blobPath } from "../../src/store/layout.ts";
import { type Answer, answerWith } from "../faults/answer.ts";
import { ignoreRange } from "../faults/behaviours.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { startFront } from "../front.ts";

const BLOBS = /\/blobs\//;
const BYTES = Buffer.alloc(200_000, 7);

const world = async () => {
  const upstream = await faultUpstream();
  const { digest } = upstream.content.putBlob("acme/app", BYTES);
  const front = await startFront(upstream);
  /** `undefined`: the connection was cut before there was an answer. */
  const ask = (range?: string) =>
    front.ask(`/v2/acme/app/blobs/${digest}`, range === undefined ? {} : { headers: { range } }).catch(() => undefined);
  return { upstream, front, digest: parseDigest(digest), ask };
};

describe("nothing at all, in place of a blob", () => {
  const nothing = ({ answer }: { readonly answer: Answer }) => void Object.assign(answer, answerWith(200, ""));

  it.each([
    ["kept", undefined],
    ["past the store", "bytes=-5"],
  ])("is not whole, on its way to be %s", async (_where, range) => {
    const { upstream, ask } = await world();
    upstream.fault(BLOBS, nothing, 1);
    expect((await ask(range))?.whole ?? false).toBe(false);
    expect((await ask())?.body.equals(BYTES)).toBe(true);
  });
});

describe("what the disk has spoilt", () => {
  it.each(["bytes=0-", "bytes=0-199999", "bytes=-200000"])(
    "is not whole when all of it is asked for as %s, and is healed",
    async (range) => {
      const { front, digest, ask } = await world();
      await ask();
      await front.stop();
      const file = blobPath(join(front.folder, "data"), digest);
      const bytes = readFileSync(file);
      bytes[1_000] = 9;
      writeFileSync(file, bytes);
      await front.start();
      expect((await ask(range))?.whole ?? false).toBe(false);
      const healed = await ask(range);
      expect(healed).toMatchObject({ status: 206, whole: true });
      expect(healed?.body.equals(BYTES)).toBe(true);
    },
  );
});

describe("a leftover that is longer than the blob", () => {
  it.each([undefined, "bytes=0-199999"])("is nobody's, also of an upstream that knows no ranges (%s)", async (range) => {
    const { upstream, front, digest, ask } = await world();
    await front.stop();
    writeFileSync(join(front.folder, "data", "spool", digest.replace(":", "-")), Buffer.alloc(300_000, 8));
    await front.start();
    upstream.fault(BLOBS, ignoreRange);
    const answer = await ask(range);
    expect(answer?.whole !== true || answer.body.equals(BYTES)).toBe(true);
    expect((await ask(range))?.body.equals(BYTES)).toBe(true);
  });
});
