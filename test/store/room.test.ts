// What is counted of a store, by itself.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { StoreFull } from "../../src/store/blobs.ts";
import { type Berth, Room } from "../../src/store/room.ts";

const roomOf = (maxSize: number, folder = "/nowhere") =>
  new Room({ folder, reserve: 0, maxSize, free: async () => ({ free: 2 ** 40, total: 2 ** 40 }) });

/** Whether there is room for exactly `bytes`. */
const fits = async (room: Room, bytes: number): Promise<boolean> => {
  const berth = await room.promise(bytes);
  const isAll = await room.promise(1).then(
    (more) => more.settle(0),
    (error: unknown) => error instanceof StoreFull,
  );
  berth.settle(0);
  return isAll === true;
};

describe("room under a cap", () => {
  it("settles a body once, also when its commit half failed and it is then discarded", async () => {
    const room = roomOf(1_000);
    const berth = await room.promise(500);
    await berth.take(300);
    berth.settle(300);
    berth.settle(0);
    expect(await fits(room, 700)).toBe(true);
  });

  it("is what nobody holds, whatever came and went", async () => {
    const body = fc.record({
      expected: fc.nat(200),
      pieces: fc.array(fc.nat(100), { maxLength: 5 }),
      isKept: fc.boolean(),
      isDeleted: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(body, { maxLength: 10 }), async (bodies) => {
        const room = roomOf(1_000);
        let held = 0;
        const one = async ({ expected, pieces, isKept, isDeleted }: (typeof bodies)[number]) => {
          const berth: Berth | undefined = await room.promise(expected).catch(() => undefined);
          if (berth === undefined) return;
          let size = 0;
          for (const piece of pieces) {
            await berth.take(piece).then(
              () => {
                size += piece;
              },
              () => undefined,
            );
          }
          expect(held + size).toBeLessThanOrEqual(1_000);
          berth.settle(isKept ? size : 0);
          if (isKept && isDeleted) room.give(size);
          if (isKept && !isDeleted) held += size;
        };
        await Promise.all(bodies.map(one));
        expect(await fits(room, 1_000 - held)).toBe(true);
      }),
    );
  });

  it("is given back by a body that ends in the middle of a write", async () => {
    const room = roomOf(1_000);
    const berth = await room.promise(10);
    const writing = berth.take(500);
    berth.settle(0);
    await writing;
    expect(await fits(room, 1_000)).toBe(true);
  });

  it("is what files leave, those that go away while they are counted left out", async () => {
    const folder = mkdtempSync(join(tmpdir(), "layover-room-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    for (const name of ["a", "b", "c"]) mkdirSync(join(folder, "sha256", name), { recursive: true });
    writeFileSync(join(folder, "sha256/a/one"), Buffer.alloc(100));
    symlinkSync("nothing", join(folder, "sha256/b/gone"));
    writeFileSync(join(folder, "sha256/c/two"), Buffer.alloc(200));
    const room = roomOf(1_000, folder);
    room.count(folder);
    await expect.poll(() => fits(room, 700).catch(() => false)).toBe(true);
  });
});
