// What is read out of a manifest, and out of what is none.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestOf } from "../../src/oci/digest.ts";
import { partsOf } from "../../src/oci/parts.ts";

const of = (text: string) => digestOf(Buffer.from(text));
const parts = (manifest: unknown) => partsOf(Buffer.from(JSON.stringify(manifest)));

describe("the parts of a manifest", () => {
  it("are its configuration and layers, each once", () => {
    const layers = [{ digest: of("a") }, { digest: of("b") }, { digest: of("a") }];
    expect(parts({ schemaVersion: 2, config: { digest: of("c") }, layers, subject: { digest: of("s") } })).toEqual(
      ["c", "a", "b"].map(of),
    );
  });

  it("are an index's manifests, and an artifact's blobs", () => {
    const sha512 = digestOf(Buffer.from("x"), "sha512");
    expect(parts({ manifests: [{ digest: of("m"), platform: { os: "linux" } }, { digest: sha512 }] })).toEqual([of("m"), sha512]);
    expect(parts({ blobs: [{ digest: of("b") }] })).toEqual([of("b")]);
  });

  it("are only what is a digest", () => {
    const layers = [{ digest: "sha256:../../etc" }, { digest: 7 }, null, "x", { size: 1 }, { digest: of("a") }];
    expect(parts({ config: "none", manifests: { digest: of("m") }, layers })).toEqual([of("a")]);
  });

  it("are bounded", () => {
    const layers = Array.from({ length: 5_000 }, (_, n) => ({ digest: of(String(n)) }));
    expect(parts({ layers })).toHaveLength(4_096);
  });

  it("are none of what is no manifest, whatever it is", () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => partsOf(bytes).length === 0));
    fc.assert(fc.property(fc.json(), (text) => partsOf(Buffer.from(text)).length === 0));
  });
});
