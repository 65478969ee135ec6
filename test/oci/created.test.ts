import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createdOfConfig, createdOfManifest } from "../../src/oci/created.ts";

const manifest = (created: unknown) =>
  Buffer.from(JSON.stringify({ annotations: { "org.opencontainers.image.created": created } }));

describe("when an image was made", () => {
  it.each([
    ["2025-01-02T03:04:05Z", Date.UTC(2025, 0, 2, 3, 4, 5)],
    ["2025-01-02T03:04:05.123456789Z", Date.UTC(2025, 0, 2, 3, 4, 5, 123)],
    ["2025-01-02T03:04:05+02:00", Date.UTC(2025, 0, 2, 1, 4, 5)],
    ["2025-01-02 03:04:05Z", Date.UTC(2025, 0, 2, 3, 4, 5)],
    ["1970-01-01T00:00:00Z", 0],
    // what Go writes for none
    ["0001-01-01T00:00:00Z", undefined],
    ["2025-13-01T00:00:00Z", undefined],
    ["yesterday", undefined],
    ["2025", undefined],
    [1_700_000_000, undefined],
    [null, undefined],
  ])("is %j", (text, time) => {
    expect(createdOfManifest(manifest(text))).toBe(time);
    expect(createdOfConfig(Buffer.from(JSON.stringify({ created: text })))).toBe(time);
  });

  it("is unknown of anything else, and never throws", () => {
    expect(createdOfManifest(Buffer.from('{"annotations":null,"x":"org.opencontainers.image.created"}'))).toBeUndefined();
    const marks = (bytes: Uint8Array) => [createdOfManifest(bytes), createdOfConfig(bytes)];
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void marks(bytes)));
    fc.assert(
      fc.property(fc.json(), (text) => {
        for (const time of marks(Buffer.from(text.replace('"', '"org.opencontainers.image.created'))))
          expect(time ?? 0).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});
