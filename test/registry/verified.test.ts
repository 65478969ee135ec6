// Bodies that pass the store: whole only with the right digest, and let go of when their reader leaves.
import { PassThrough, type Readable } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { ByteStream } from "../../src/lib/byte-stream.ts";
import { byteStreamOf } from "../../src/lib/readable-source.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { verified } from "../../src/registry/verified.ts";
import { type PaintedOptions, PaintedSource, painted } from "../lib/pattern.ts";

const blobOf = (body: Readable, bytes: Buffer) => ({
  descriptor: { mediaType: "application/octet-stream", digest: digestOf(bytes), size: bytes.length },
  body,
  range: undefined,
  provenance: { source: "miss" as const },
  metadata: {},
});

const drained = async (body: Readable): Promise<{ length: number; error: string | undefined }> => {
  const bytes = byteStreamOf(body);
  const into = Buffer.alloc(64 * 1024);
  let length = 0;
  try {
    for (let read = await bytes.readInto(into); read > 0; read = await bytes.readInto(into)) length += read;
    return { length, error: undefined };
  } catch (error) {
    return { length, error: (error as Error).message };
  } finally {
    bytes.destroy();
  }
};

const verifiedSource = (options: PaintedOptions, bytes = painted(options.seed, options.size)) => {
  const source = new PaintedSource(options);
  return { source, ...verified(blobOf(new ByteStream(source), bytes)) };
};

describe("a verified body", () => {
  it.each([0, 1, 2, 65_536, 1_000_001])("of %i bytes is whole when they are right", async (size) => {
    const { body, source } = verifiedSource({ seed: 1, size, cuts: [100_000, 1, 70_000], takes: [0] });
    expect(await drained(body)).toEqual({ length: size, error: undefined });
    await expect.poll(() => source.isOver).toBe(true);
  });

  it.each([1, 2, 65_536, 1_000_001])("of %i bytes lacks its last when they are wrong", async (size) => {
    const { body, source } = verifiedSource({ seed: 1, size }, painted(2, size));
    const { length, error } = await drained(body);
    expect(length).toBeLessThan(size);
    expect(error).toMatch(/not those of sha256:/);
    await expect.poll(() => source.isOver).toBe(true);
  });

  it("that breaks off says why", async () => {
    const { body, source } = verifiedSource({ seed: 1, size: 1_000_000, failsAt: 300_000 });
    const { error } = await drained(body);
    expect(error).toBe("torn");
    await expect.poll(() => source.isOver).toBe(true);
  });

  it("lets go of what it reads when its reader leaves, in the middle or before the first byte", async () => {
    for (const reads of [0, 1, 3]) {
      const { body, source } = verifiedSource({ seed: 1, size: 2 ** 30, takes: [1] }, painted(1, 10));
      const bytes = byteStreamOf(body);
      for (let read = 0; read < reads; read += 1) await bytes.readInto(Buffer.alloc(1_000));
      bytes.destroy();
      await expect.poll(() => source.isOver).toBe(true);
    }
  });

  it("that breaks off before anybody reads it ends no process, and says so to its reader", async () => {
    const inner = new PassThrough();
    const { body } = verified(blobOf(byteStreamOf(inner), painted(1, 10)));
    inner.destroy(new Error("early"));
    const bytes = byteStreamOf(body);
    for (let turns = 0; turns < 5; turns += 1) await turn();
    expect(await drained(bytes)).toMatchObject({ length: 0, error: "early" });
  });
});
