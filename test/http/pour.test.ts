// Bodies on their way to clients over real sockets: every byte is its own body's, what is torn never looks whole,
// and nothing stays behind of whoever leaves, however and whenever they do.
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sendBlob } from "../../src/http/respond.ts";
import { ByteStream } from "../../src/lib/byte-stream.ts";
import { parseDigest } from "../../src/oci/digest.ts";
import { isPainted, type PaintedOptions, PaintedSource } from "../lib/pattern.ts";
import { get, openTestDoor, reset } from "./door.ts";
import { Wire } from "./wire.ts";

const KIB = 1024;
const SMALL = 32 * KIB;
const LARGE = 256 * KIB;
const LARGE_BUFFERS = 8;

interface Served {
  readonly source: PaintedSource;
  /** What became of it: `undefined` while it is under way. */
  outcome: "sent" | Error | undefined;
}

interface Body extends PaintedOptions {
  /** What is promised, where it is not the size; `none`: it is not known. */
  readonly promised?: number | "none";
  /** What upstream said of it. */
  readonly warnings?: readonly string[];
}

const DIGEST = parseDigest(`sha256:${"a".repeat(64)}`);

/** `/n` is answered with the nth body. */
const serve = async (bodies: readonly Body[], secure = true) => {
  const served: Served[] = [];
  const door = await openTestDoor(async ({ res, path }) => {
    const { promised, warnings = [], ...options } = bodies[Number(path.slice(1))]!;
    const source = new PaintedSource(options);
    const one: Served = { source, outcome: undefined };
    served.push(one);
    const size = promised === "none" ? undefined : (promised ?? options.size);
    const blob = {
      descriptor: { mediaType: "application/octet-stream", digest: DIGEST, size },
      body: new ByteStream(source),
      range: undefined,
      provenance: { source: "hit" as const },
      metadata: { warnings },
    };
    one.outcome = await Promise.resolve(blob)
      .then((ready) => sendBlob(res, ready))
      .then(
        () => "sent" as const,
        (error: unknown) => error as Error,
      );
    if (one.outcome instanceof Error) throw one.outcome;
  }, secure);
  /** Nothing is read any more, nothing is held, and nobody is still listened for. */
  const settled = async () => {
    await expect.poll(() => served.filter(({ outcome }) => outcome === undefined).length, { timeout: 10_000 }).toBe(0);
    await expect.poll(() => served.filter(({ source }) => !source.isOver).length).toBe(0);
    expect(served.flatMap(({ source }) => source.faults)).toEqual([]);
  };
  return { ...door, served, settled };
};

/** Reads one answer that is to be body `seed`, and says what came of it. */
const drink = async (wire: Wire, seed: number, slow: (position: number) => Promise<unknown> | undefined = () => undefined) => {
  const head = await wire.head();
  let received = 0;
  let isRight = true;
  const whole =
    head !== undefined &&
    (await wire.body(head, async (bytes, position) => {
      isRight &&= isPainted(bytes, seed, position) && position === received;
      received += bytes.length;
      await slow(received);
      return isRight;
    }));
  return { status: head?.status, whole, received, isRight };
};

/** How large a buffer a reader that is quick and reads much gets. */
const largestFor = async (quick: number): Promise<readonly number[]> => {
  const { connect, served, settled } = await serve(Array.from({ length: quick }, (_, seed) => ({ seed, size: 12 * LARGE })));
  await Promise.all(
    Array.from({ length: quick }, async (_, at) => {
      const socket = await connect();
      socket.write(get(`/${at}`));
      expect(await drink(new Wire(socket), at)).toMatchObject({ whole: true, isRight: true });
      socket.destroy();
    }),
  );
  await settled();
  return served.map(({ source }) => Math.max(...source.buffers));
};

const SIZES = [0, 1, SMALL - 1, SMALL, SMALL + 1, LARGE - 1, LARGE, LARGE + 1, 3 * LARGE + 7];

describe("a body", () => {
  it.each(["1.1", "1.0"])("of every size comes whole by HTTP/%s, one after another on a connection", async (version) => {
    const { connect, settled } = await serve(SIZES.map((size, seed) => ({ seed, size })));
    const keep = version === "1.0" ? { version, headers: "connection: keep-alive\r\n" } : { version };
    const socket = await connect();
    const wire = new Wire(socket);
    for (const [seed, size] of SIZES.entries()) {
      socket.write(get(`/${seed}`, keep));
      expect(await drink(wire, seed)).toEqual({ status: 200, whole: true, received: size, isRight: true });
    }
    await settled();
  });

  it("of unknown length comes whole in chunks, and by HTTP/1.0 to the end of the connection", async () => {
    const { connect, settled } = await serve(SIZES.map((size, seed) => ({ seed, size, promised: "none" as const })));
    const socket = await connect();
    const wire = new Wire(socket);
    for (const [seed, size] of SIZES.entries()) {
      socket.write(get(`/${seed}`));
      expect(await drink(wire, seed)).toEqual({ status: 200, whole: true, received: size, isRight: true });
    }
    const old = await connect();
    old.write(get("/4", { version: "1.0" }));
    expect(await drink(new Wire(old), 4)).toEqual({ status: 200, whole: false, received: SIZES[4], isRight: true });
    await settled();
  });

  const WRONG: Record<string, Partial<Body>> = {
    "breaks off": { failsAt: 700_000 },
    "breaks off at once": { failsAt: 0 },
    "breaks off at its last byte": { failsAt: 999_999 },
    "ends short of what was promised": { endsAt: 999_999 },
    "is empty where much was promised": { endsAt: 0 },
    "is longer than was promised": { promised: 900_000 },
  };
  it.each(Object.entries(WRONG))("that %s cuts its connection", async (_what, wrong) => {
    const { connect, settled, served } = await serve([
      { seed: 0, size: 1_000_000, cuts: [50_000], ...wrong },
      { seed: 1, size: 10 },
    ]);
    const socket = await connect();
    const wire = new Wire(socket);
    socket.write(get("/0") + get("/1"));
    const answer = await drink(wire, 0);
    expect(answer).toMatchObject({ isRight: true, whole: wrong.promised !== undefined && answer.received === wrong.promised });
    // nothing that follows is taken for what is missing, or for another answer
    expect(await wire.head()).toBeUndefined();
    await settled();
    expect(served[0]!.outcome).toBeInstanceOf(Error);
  });

  it("of which upstream says what is no header is an error, and is not left open", async () => {
    const { connect, settled } = await serve([{ seed: 0, size: 10, warnings: ["299 - \u2026"] }]);
    const socket = await connect();
    socket.write(get("/0"));
    expect((await new Wire(socket).head())?.status).toBe(500);
    await settled();
  });

  it.each([0, 1, SMALL, 700_000])("of unknown length that breaks off after %i bytes has no last chunk", async (failsAt) => {
    const { connect, settled } = await serve([{ seed: 0, size: 1_000_000, failsAt, promised: "none" }]);
    const socket = await connect();
    const wire = new Wire(socket);
    socket.write(get("/0"));
    expect(await drink(wire, 0)).toMatchObject({ whole: false, isRight: true });
    expect(await wire.head()).toBeUndefined();
    await settled();
  });
});

const until = async (holds: () => boolean): Promise<void> => {
  await expect.poll(holds, { timeout: 5_000, interval: 5 }).toBe(true);
};

/** Ways to leave a connection, from the polite to the rude. */
const WAYS: Record<string, (socket: Socket) => void> = {
  "by closing": (socket) => void socket.destroy(),
  "by a reset": reset,
};

describe.each(Object.entries(WAYS))("a client that leaves %s", (_way, leave) => {
  const FOREVER = 2 ** 30;

  it("before the first byte, in a read that takes its time, leaves nothing behind", async () => {
    const { connect, served, settled } = await serve([{ seed: 0, size: FOREVER, takes: [300] }]);
    const socket = await connect();
    socket.write(get("/0"));
    await until(() => served.length === 1);
    leave(socket);
    await settled();
    expect(served[0]!.outcome).toMatchObject({ name: "ClientGone" });
  });

  it("while the socket is full, leaves nothing behind", async () => {
    const { connect, served, settled } = await serve([{ seed: 0, size: FOREVER }]);
    const socket = await connect();
    socket.pause();
    socket.write(get("/0"));
    await until(() => (served[0]?.source.buffers.length ?? 0) > 3);
    await sleep(100);
    leave(socket);
    await settled();
    expect(served[0]!.outcome).toMatchObject({ name: "ClientGone" });
  });

  it("with many requests sent at once leaves nothing behind of any", async () => {
    const { connect, settled, exchanges } = await serve([{ seed: 0, size: FOREVER }]);
    const socket = await connect();
    socket.pause();
    socket.write(get("/0").repeat(100));
    await until(() => exchanges.length > 0);
    await sleep(100);
    leave(socket);
    await settled();
    await until(() => exchanges.every(({ res }) => res.closed));
    expect(exchanges.filter(({ ctx }) => !ctx.signal.aborted)).toEqual([]);
  });

  it("again and again takes no large buffer with it", async () => {
    const { connect, served, settled } = await serve([{ seed: 0, size: FOREVER }]);
    for (let round = 0; round < 3; round += 1) {
      await Promise.all(
        Array.from({ length: LARGE_BUFFERS }, async () => {
          const socket = await connect();
          socket.write(get("/0"));
          let left = 3 * LARGE;
          socket.on("data", (chunk: Buffer) => {
            left -= chunk.length;
            if (left < 0) leave(socket);
          });
          await new Promise((resolve) => socket.once("close", resolve));
        }),
      );
    }
    await settled();
    expect(served.filter(({ source }) => source.buffers.includes(LARGE)).length).toBeGreaterThan(0);
    expect(await largestFor(4)).toEqual([LARGE, LARGE, LARGE, LARGE]);
  });
});

describe("a client", () => {
  it.each([true, false])(
    "that has closed its own half is answered in full or cut, and leaves nothing behind (TLS: %s)",
    async (secure) => {
      const { connect, settled } = await serve([{ seed: 0, size: 3 * LARGE, cuts: [100_000], takes: [10] }], secure);
      const socket = await connect();
      socket.end(get("/0"));
      const answer = await drink(new Wire(socket), 0);
      expect(answer.isRight).toBe(true);
      expect(answer.whole).toBe(answer.received === 3 * LARGE);
      await settled();
    },
  );

  it("that sends many requests at once has the answers in turn, and no more than one is read for at a time", async () => {
    const bodies = Array.from({ length: 40 }, (_, seed) => ({ seed, size: 1 + ((seed * 77_777) % (2 * LARGE)) }));
    const { connect, served, settled } = await serve(bodies);
    const socket = await connect();
    const wire = new Wire(socket);
    socket.write(bodies.map(({ seed }) => get(`/${seed}`)).join(""));
    for (const { seed, size } of bodies) {
      expect(await drink(wire, seed)).toEqual({ status: 200, whole: true, received: size, isRight: true });
      expect(served.filter(({ outcome }) => outcome === undefined).length).toBeLessThanOrEqual(1);
    }
    await settled();
  });

  it("that sends more requests at once than anybody needs is cut, however slow the first of them is", async () => {
    const { connect, served, settled } = await serve([{ seed: 0, size: 10, takes: [50] }]);
    const socket = await connect();
    socket.write(get("/0").repeat(102));
    expect(await drink(new Wire(socket), 0)).toMatchObject({ whole: false, received: 0 });
    await settled();
    expect(served.length).toBe(1);
    const patient = await connect();
    const wire = new Wire(patient);
    for (let round = 0; round < 3; round += 1) {
      patient.write(get("/0").repeat(2));
      for (let answers = 0; answers < 2; answers += 1) expect(await drink(wire, 0)).toMatchObject({ whole: true, received: 10 });
    }
    await settled();
  });

  it("whose second request of many breaks off loses its connection after the first, and is not left waiting", async () => {
    const slow = { seed: 0, size: 300_000, cuts: [100_000], takes: [30] };
    const { connect, settled } = await serve([slow, { seed: 1, size: 300_000, failsAt: 100 }, { seed: 2, size: 10 }]);
    const socket = await connect();
    const wire = new Wire(socket);
    socket.write(get("/0") + get("/1") + get("/2"));
    expect(await drink(wire, 0)).toMatchObject({ whole: true, isRight: true });
    expect(await drink(wire, 1)).toMatchObject({ whole: false, isRight: true });
    expect(await wire.head()).toBeUndefined();
    await settled();
  });

  it("that follows what comes slowly keeps no large buffer from one that could use it", async () => {
    const slow = {
      seed: 0,
      size: 2 ** 30,
      cuts: [...Array<number>(20).fill(SMALL), ...Array<number>(10_000).fill(1_000)],
      takes: [5],
    };
    const { connect, served, settled } = await serve([slow]);
    const sockets = await Promise.all(Array.from({ length: 2 * LARGE_BUFFERS }, () => connect()));
    for (const socket of sockets) socket.resume().write(get("/0"));
    await until(() => served.length === sockets.length && served.every(({ source }) => source.buffers.length > 30));
    expect(served.filter(({ source }) => source.buffers.at(-1) === LARGE)).toEqual([]);
    expect(await largestFor(2)).toEqual([LARGE, LARGE]);
    for (const socket of sockets) socket.destroy();
    await settled();
  });

  it("that reads nothing is read for only as far as its socket and one buffer hold", async () => {
    const clients = 100;
    const { connect, served, settled } = await serve([{ seed: 0, size: 2 ** 30 }]);
    const sockets = await Promise.all(Array.from({ length: clients }, () => connect()));
    for (const socket of sockets) socket.pause().write(get("/0"));
    const reads = () => served.reduce((sum, { source }) => sum + source.buffers.length, 0);
    let before = -1;
    await expect
      .poll(
        () => {
          const same = reads() === before;
          before = reads();
          return served.length === clients && same;
        },
        { timeout: 10_000, interval: 300 },
      )
      .toBe(true);
    const last = served.map(({ source }) => source.buffers.at(-1)!);
    expect(last.filter((length) => length > SMALL).length).toBeLessThanOrEqual(LARGE_BUFFERS);
    for (const socket of sockets) socket.destroy();
    await settled();
  });
});

/** More of them for a night's search: each is some twenty clients. */
const RUNS = Number(process.env["POUR_RUNS"] ?? 25);

describe("many clients at once", () => {
  const client = fc.record({
    size: fc.oneof(fc.constantFrom(...SIZES), fc.integer({ min: 0, max: 4 * LARGE })),
    promised: fc.constantFrom(undefined, "none" as const),
    cuts: fc.array(fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 10_000, max: 2 * LARGE })), { maxLength: 4 }),
    takes: fc.array(fc.constantFrom(undefined, 0, 1, 3), { maxLength: 4 }),
    failsAt: fc.option(fc.integer({ min: 0, max: 2 * LARGE }), { nil: undefined, freq: 5 }),
    leavesAt: fc.option(fc.integer({ min: 0, max: 2 * LARGE }), { nil: undefined, freq: 3 }),
    rude: fc.boolean(),
    pause: fc.constantFrom(0, 0, 0, 1, 20, 70),
    pipelined: fc.boolean(),
  });

  it.each([true, false])(
    "that stop and go on have their own bytes beside those that never stop (TLS: %s)",
    { timeout: 60_000 },
    async (secure) => {
      const size = 24 * 1024 * KIB;
      const { connect, settled } = await serve(
        Array.from({ length: 12 }, (_, seed) => ({ seed, size, cuts: seed % 3 === 0 ? [100_000] : [] })),
        secure,
      );
      const one = async (seed: number) => {
        const socket = await connect();
        socket.write(get(`/${seed}`));
        let stops = 0;
        // sooner or later than the buffers of both sockets are full
        const slow = async (received: number) => {
          if (seed >= 6 || received <= (stops * size) / 4) return;
          stops += 1;
          await sleep(50 * stops);
        };
        expect(await drink(new Wire(socket), seed, slow)).toEqual({ status: 200, whole: true, received: size, isRight: true });
        socket.destroy();
      };
      await Promise.all(Array.from({ length: 12 }, (_, seed) => one(seed)));
      await settled();
    },
  );

  it("have every byte of their own bodies and none of another's", { timeout: 60_000 + RUNS * 1_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(client, { minLength: 4, maxLength: 24 }), fc.boolean(), async (clients, secure) => {
        const bodies = clients.map(({ size, promised, cuts, takes, failsAt }, seed): Body => {
          // one byte at a time, a large body would take for ever
          const bounded = cuts.some((cut) => cut < 1_000) ? Math.min(size, 1_500) : size;
          return {
            seed,
            size: bounded,
            cuts,
            takes,
            ...(promised === undefined ? {} : { promised }),
            ...(failsAt === undefined ? {} : { failsAt }),
          };
        });
        const { connect, settled } = await serve(bodies, secure);
        const following = clients.map(async ({ leavesAt, rude, pause, pipelined }, seed) => {
          const socket = await connect();
          const wire = new Wire(socket);
          const { size, failsAt = Number.POSITIVE_INFINITY } = bodies[seed]!;
          socket.write(pipelined ? get(`/${seed}`) + get(`/${seed}`) : get(`/${seed}`));
          let last = 0;
          const slow = async (received: number) => {
            if (leavesAt !== undefined && received >= leavesAt) WAYS[rude ? "by a reset" : "by closing"]!(socket);
            if (pause > 0 && received - last > 200_000) {
              last = received;
              await sleep(pause);
            }
          };
          for (let answers = pipelined ? 2 : 1; answers > 0; answers -= 1) {
            const answer = await drink(wire, seed, slow);
            expect(answer.isRight).toBe(true);
            expect(answer.received).toBeLessThanOrEqual(Math.min(size, failsAt));
            // behind the last byte that was promised no failure can be seen
            const shows = failsAt !== size || bodies[seed]!.promised === "none";
            if (leavesAt === undefined && shows) expect(answer.whole).toBe(failsAt > size);
            if (answer.whole) expect(answer.received).toBe(size);
            else break;
          }
          socket.destroy();
        });
        await Promise.all(following);
        await settled();
      }),
      { numRuns: RUNS },
    );
  });
});
