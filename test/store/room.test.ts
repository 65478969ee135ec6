// What is counted of a store, by itself.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StoreFull } from "../../src/store/blobs.ts";
import { type Berth, Room } from "../../src/store/room.ts";

const roomOf = (maxSize: number) =>
  new Room({ folder: "/nowhere", reserve: 0, maxSize, free: async () => ({ free: 2 ** 40, total: 2 ** 40 }) });

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

  it("is what was found to be there, and then deleted", async () => {
    const room = roomOf(1_000);
    room.give(-300);
    expect(await fits(room, 700)).toBe(true);
    room.give(100);
    expect(await fits(room, 800)).toBe(true);
    expect(await room.state()).toMatchObject({ held: 200, growing: 0, promised: 0, maxSize: 1_000, left: 800 });
  });
});

describe("room that others make", () => {
  it("is asked for as much as is missing, and again until it is enough", async () => {
    const room = roomOf(1_000);
    room.give(-900);
    const asked: number[] = [];
    room.relieve(async (missing) => {
      asked.push(missing);
      room.give(150);
      return true;
    });
    const berth = await room.promise(300);
    expect(asked.slice(0, 2)).toEqual([200, 50]);
    berth.settle(0);
  });

  it("is not asked for when all that is held would be too little", async () => {
    const room = roomOf(1_000);
    room.give(-500);
    let asked = 0;
    room.relieve(async () => {
      asked += 1;
      return false;
    });
    await expect(room.promise(1_001)).rejects.toThrow(StoreFull);
    expect(asked).toBe(0);
    await expect(room.promise(600)).rejects.toThrow(StoreFull);
    expect(asked).toBe(1);
  });

  it("has none where others have filled the disk, which is said once, and once when it is over", async () => {
    let free = 10_000;
    let time = 0;
    const total = 10_000;
    const room = new Room({ folder: "/", reserve: 0.1, maxSize: 8_000, free: async () => ({ free, total }), now: () => time });
    const said: unknown[] = [];
    room.onFull((isFull) => said.push(isFull));
    room.onTooLarge((bytes) => said.push(bytes));
    free = 2_000;
    for (const bytes of [3_000, 2_000]) await expect(room.promise(bytes)).rejects.toThrow(StoreFull);
    (await room.promise(900)).settle(0);
    expect({ said, isFull: room.isFull }).toEqual({ said: [true], isFull: true });
    // what is larger than all that may ever be held says nothing of the room for others
    for (const bytes of [9_500, 9_000, 9_500, 9_600]) await expect(room.promise(bytes)).rejects.toThrow(StoreFull);
    expect(said).toEqual([true, 9_500, 9_600]);
    time = 5 * 60_000;
    (await room.promise(900)).settle(0);
    expect({ said, isFull: room.isFull }).toEqual({ said: [true, 9_500, 9_600, false], isFull: false });
  });

  it("is asked of the last who offered first, and of the others when he has none", async () => {
    const room = roomOf(1_000);
    room.give(-1_000);
    const asked: string[] = [];
    for (const name of ["first", "last"])
      room.relieve(async (missing) => {
        asked.push(name);
        if (name === "first") room.give(missing);
        return name === "first";
      });
    (await room.promise(10)).settle(0);
    expect(asked.slice(0, 2)).toEqual(["last", "first"]);
  });

  it("is made a little ahead of need, by one at a time, and nobody waits for it", async () => {
    const room = roomOf(10_000);
    room.give(-9_000);
    let asked = 0;
    room.relieve(() => {
      asked += 1;
      return new Promise(() => undefined);
    }, true);
    const berths = [await room.promise(500), await room.promise(400), await room.promise(50)];
    expect(asked).toBe(1);
    for (const berth of berths) berth.settle(0);
  });
});
