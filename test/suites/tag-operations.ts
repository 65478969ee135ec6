// What every way to ask Layover of tags must answer alike: through a server, and of the store alone.
import { expect, it } from "vitest";
import type { Operations } from "../../src/admin/operations.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { HALF, LOST_DIGEST, NEVER, SPARSE, TORN, V1, V2 } from "../admin/stock-tags.ts";
import { quiet } from "./operations.ts";

const [ONE, TWO] = [digestOf(V1), digestOf(V2)];
const at = (reference: string) => `ghcr.io/acme/${reference}`;

/** `open` gives the operations over a store that `stockTags` has filled. */
export const tagOperationsSuite = (open: () => Promise<Operations>): void => {
  const held = async (operations: Operations, reference = at("app:1")) =>
    (await operations.tagHistory({ reference }, quiet)).digest;

  it("lists a repository's tags in pages, with when each moved and why", async () => {
    const operations = await open();
    const page = await operations.tagList({ of: at("app"), limit: 2 }, quiet);
    expect(page).toEqual({
      site: "ghcr.io",
      repository: "acme/app",
      tags: [
        {
          ...{ tag: "1", digest: TWO, movedAt: "2026-01-02T03:04:05.000Z", reason: "pull" },
          ...{ created: "2025-02-02T00:00:00.000Z", held: true, bytes: expect.any(Number) },
        },
        expect.objectContaining({ digest: TWO }),
      ],
      next: ONE.slice(7, 17),
    });
    await operations.tagPin({ reference: at("app:only") }, quiet);
    const rest = await operations.tagList({ of: at("app"), after: page.next }, quiet);
    expect(rest.tags.map(({ tag, hold }) => [tag, hold?.kind])).toEqual([
      ["half", undefined],
      ["only", "pin"],
      ["sparse", undefined],
      ["torn", undefined],
    ]);
    await expect(operations.tagList({ of: "ghcr.io" }, quiet)).rejects.toMatchObject({ code: "INVALID" });
  });

  it("tells where a tag has been, and what of that is here", async () => {
    const operations = await open();
    const history = await operations.tagHistory({ reference: at("app:1") }, quiet);
    expect(history).toEqual({
      ...{ reference: at("app:1"), site: "ghcr.io", repository: "acme/app", tag: "1", digest: TWO, more: false },
      moves: [
        {
          ...{ line: 1, digest: TWO, at: "2026-01-02T03:04:05.000Z", reason: "pull" },
          ...{ created: "2025-02-02T00:00:00.000Z", held: "whole", now: true },
        },
        {
          ...{ line: 2, digest: ONE, at: "2026-01-02T03:04:04.000Z", reason: "pull" },
          ...{ created: "2025-01-01T00:00:00.000Z", held: "whole", now: false },
        },
        { line: 3, digest: NEVER, at: "2026-01-02T03:04:03.000Z", reason: "pull", held: "no", now: false },
      ],
    });
    const second = async (tag: string) => (await operations.tagHistory({ reference: at(tag) }, quiet)).moves[1];
    expect(await second("app:torn")).toMatchObject({ held: "partly" });
    expect(await second("app:sparse")).toMatchObject({ held: "whole", created: "2025-01-01T00:00:00.000Z" });
    expect(await second("app:half")).toMatchObject({ held: "partly" });
    // its bytes are here, and nobody has heard that this repository has them
    expect(await second("other:1")).toMatchObject({ held: "no" });
    const gone = await operations.tagHistory({ reference: at("app:gone") }, quiet);
    expect(gone).not.toHaveProperty("digest");
    expect(gone.moves[0]).toEqual({ line: 1, at: "2026-01-02T03:04:05.000Z", reason: "delete", now: false });
    const never = operations.tagHistory({ reference: at("app:never") }, quiet);
    await expect(never).rejects.toMatchObject({ code: "NOT_HELD" });
  });

  it("rolls a tag back to what it was, and lets it go again", async () => {
    const operations = await open();
    const rolled = await operations.tagRollback({ reference: at("app:1") }, quiet);
    expect(rolled).toEqual({
      ...{ reference: at("app:1"), from: TWO, to: ONE, created: "2025-01-01T00:00:00.000Z" },
      ...{ hold: { kind: "rollback", since: expect.any(String) }, failOpen: true, missing: [], missingCount: 0 },
    });
    const { hold, moves } = await operations.tagHistory({ reference: at("app:1") }, quiet);
    expect(hold).toEqual(rolled.hold);
    expect(moves[0]).toMatchObject({ line: 1, digest: ONE, reason: "rollback", now: true });
    expect(await operations.show({ reference: at("app:1") }, quiet)).toMatchObject({
      digest: ONE,
      hold: rolled.hold,
      history: [{ digest: ONE, reason: "rollback", created: "2025-01-01T00:00:00.000Z" }, {}, {}, {}],
    });
    expect(await operations.list({ of: at("app") }, quiet)).toMatchObject({
      tags: [{ tag: "1", hold: rolled.hold }, ...[1, 2, 3, 4, 5].map(() => ({}))],
    });
    expect(await operations.explain({ reference: at("app:1") }, quiet)).toMatchObject({
      held: { digest: ONE, hold: rolled.hold },
    });
    const released = await operations.tagUnpin({ reference: at("app:1") }, quiet);
    expect(released).toMatchObject({ reference: at("app:1"), digest: ONE, released: rolled.hold, movedBy: "upstream" });
    expect(await operations.tagUnpin({ reference: at("app:1") }, quiet)).not.toHaveProperty("released");
    // the one before what it is now
    expect(await operations.tagRollback({ reference: at("app:1") }, quiet)).toMatchObject({ from: ONE, to: TWO });
  });

  it.each([
    ["a line of the history", "2"],
    ["a digest", ONE],
    ["the beginning of one", ONE.slice(0, 20)],
    ["its first hex digits", ONE.slice(7, 15)],
    ["another tag", "gone"],
    ["another tag, as one", ":gone"],
  ])("rolls back to %s", async (_, to) => {
    const operations = await open();
    await operations.tagRollback({ reference: at("app:gone") }, quiet);
    expect(await operations.tagRollback({ reference: at("app:1"), to }, quiet)).toMatchObject({ from: TWO, to: ONE });
  });

  it("goes nowhere where what is meant can be none, or several", async () => {
    const operations = await open();
    const roll = (to: string, tag = "1") => operations.tagRollback({ reference: at(`app:${tag}`), to }, quiet);
    await expect(roll("9")).rejects.toMatchObject({ code: "INVALID", message: expect.stringContaining("no line 9") });
    await expect(roll(ONE.slice(7, 17))).rejects.toMatchObject({ code: "INVALID", message: expect.stringContaining(TWO) });
    await expect(roll("nothing")).rejects.toMatchObject({ code: "NOT_HELD" });
    await expect(roll("1", "gone")).rejects.toMatchObject({ code: "INVALID", message: expect.stringContaining("taken away") });
    await expect(operations.tagRollback({ reference: at("app:only") }, quiet)).rejects.toMatchObject({ code: "NOT_HELD" });
    await expect(operations.tagRollback({ reference: at(`app@${ONE}`) }, quiet)).rejects.toMatchObject({ code: "INVALID" });
    await expect(operations.tagRollback({ reference: "nowhere.example/a:1" }, quiet)).rejects.toMatchObject({
      code: "UNKNOWN_SITE",
    });
    expect(await roll(`:${ONE.slice(7, 17)}`)).toMatchObject({ to: TWO });
  });

  it("goes nowhere where what is meant is not wholly here, unless forced", async () => {
    const operations = await open();
    const torn = operations.tagRollback({ reference: at("app:torn") }, quiet);
    await expect(torn).rejects.toMatchObject({
      code: "INCOMPLETE",
      message: expect.stringMatching(
        new RegExp(`lacks layer ${LOST_DIGEST} \\(not held\\).*layover warm ghcr.io/acme/app@${digestOf(TORN)}`),
      ),
    });
    await expect(operations.tagRollback({ reference: at("app:half") }, quiet)).rejects.toMatchObject({
      code: "INCOMPLETE",
      message: expect.stringContaining("of linux/arm64"),
    });
    expect(await operations.tagRollback({ reference: at("app:sparse") }, quiet)).toMatchObject({ to: digestOf(SPARSE) });
    // without its manifest nothing can be served, nor without the link to it
    for (const force of [false, true]) {
      const never = operations.tagRollback({ reference: at("app:1"), to: "3", force }, quiet);
      await expect(never).rejects.toMatchObject({ code: "NOT_HELD", message: expect.stringContaining("is not held") });
      const unlinked = operations.tagRollback({ reference: at("other:1"), force }, quiet);
      await expect(unlinked).rejects.toMatchObject({ code: "NOT_HELD", message: expect.stringContaining("is known to have") });
    }
    expect(await held(operations, at("app:torn"))).toBe(TWO);
    expect(await operations.tagRollback({ reference: at("app:torn"), force: true }, quiet)).toMatchObject({
      to: digestOf(TORN),
      missing: [{ digest: LOST_DIGEST, role: "layer", why: "not held" }],
      missingCount: 1,
    });
    expect(await operations.tagRollback({ reference: at("app:half"), force: true }, quiet)).toMatchObject({ to: digestOf(HALF) });
  });

  it("pins a tag where it is, or elsewhere", async () => {
    const operations = await open();
    expect(await operations.tagPin({ reference: at("app:1") }, quiet)).toMatchObject({
      from: TWO,
      to: TWO,
      hold: { kind: "pin" },
    });
    expect((await operations.tagHistory({ reference: at("app:1") }, quiet)).moves).toHaveLength(3);
    expect(await operations.tagPin({ reference: at("app:1"), to: "2" }, quiet)).toMatchObject({ from: TWO, to: ONE });
    expect((await operations.tagHistory({ reference: at("app:1") }, quiet)).moves[0]).toMatchObject({
      digest: ONE,
      reason: "pin",
    });
    await expect(operations.tagPin({ reference: at("app:gone") }, quiet)).rejects.toMatchObject({ code: "NOT_HELD" });
    expect(await operations.tagPin({ reference: at("app:gone"), to: "2" }, quiet)).toMatchObject({ to: ONE });
    // a name that only this Layover knows
    for (const to of [undefined, "1"])
      await expect(operations.tagPin({ reference: at("app:mine"), to }, quiet)).rejects.toThrow(/nothing is known|no line 1/);
    const mine = await operations.tagPin({ reference: at("app:mine"), to: ONE.slice(7, 30) }, quiet);
    expect(mine).toMatchObject({ to: ONE, hold: { kind: "pin" } });
    expect(mine).not.toHaveProperty("from");
  });

  it("forgets nothing that is held", async () => {
    const operations = await open();
    await operations.tagPin({ reference: at("app:sparse"), to: "2" }, quiet);
    const before = await operations.list({}, quiet);
    for (const reference of [at("app:sparse"), at(`app@${digestOf(SPARSE)}`), at(`app@${ONE}`), at("app")])
      await expect(operations.remove({ reference }, quiet)).rejects.toMatchObject({
        code: "HELD",
        message: expect.stringContaining("layover tags unpin ghcr.io/acme/app:sparse"),
      });
    await operations.collect({}, quiet);
    expect(await operations.list({}, quiet)).toEqual(before);
    await operations.tagUnpin({ reference: at("app:sparse") }, quiet);
    expect(await operations.remove({ reference: at("app") }, quiet)).toMatchObject({ tagCount: 6 });
  });

  it("tells what differs between two states", async () => {
    const operations = await open();
    const diff = await operations.tagDiff({ reference: at("app:1") }, quiet);
    expect(diff).toMatchObject({
      from: { digest: ONE, held: "whole", created: "2025-01-01T00:00:00.000Z", platforms: ["linux/amd64"] },
      to: { digest: TWO, held: "whole", created: "2025-02-02T00:00:00.000Z", platforms: ["linux/amd64"] },
      same: false,
      platforms: { removed: [], added: [], same: [] },
      notHeld: [],
    });
    expect(diff.images).toEqual([
      {
        ...{ platform: "linux/amd64", from: ONE, to: TWO },
        config: [
          { what: "created", from: "2025-01-01T00:00:00Z", to: "2025-02-01T00:00:00Z" },
          { what: "user", to: "app" },
          { what: "env", name: "VERSION", from: "1", to: "2" },
          { what: "label", name: "version", from: "1", to: "2" },
          { what: "port", name: "80/tcp", to: "" },
        ],
        layers: {
          shared: { count: 1, bytes: 5_000 },
          removed: [{ digest: expect.any(String), size: 1_000 }],
          added: [{ digest: expect.any(String), size: 2_000 }],
        },
      },
    ]);
    const index = await operations.tagDiff({ reference: at("app:sparse"), from: "2", to: "1" }, quiet);
    expect(index).toMatchObject({
      platforms: { removed: ["linux/arm64"], added: [], same: [] },
      images: [{ platform: "linux/amd64", from: ONE, to: TWO }],
    });
    expect(await operations.tagDiff({ reference: at("app:half"), from: "2", to: `:sparse` }, quiet)).toMatchObject({
      to: { digest: TWO },
    });
    const lost = await operations.tagDiff({ reference: at("app:1"), from: "3" }, quiet);
    expect(lost).toMatchObject({
      from: { held: "no" },
      notHeld: [{ side: "from", digest: NEVER, what: "manifest" }],
      images: [],
    });
    expect(await operations.tagDiff({ reference: at("app:1"), from: "1" }, quiet)).toMatchObject({ same: true });
    await expect(operations.tagDiff({ reference: at("app:only") }, quiet)).rejects.toMatchObject({ code: "NOT_HELD" });
  });
};
