// A manifest that somebody puts: what is taken of it, and that nothing else comes of any bytes than a refusal.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestOf } from "../../src/oci/digest.ts";
import { isOciError } from "../../src/oci/error.ts";
import { parseSubmitted } from "../../src/oci/submitted.ts";

const TYPE = "application/vnd.oci.image.manifest.v1+json";
const [A, B, C] = ["a", "b", "c"].map((text) => digestOf(Buffer.from(text)));
const parse = (document: object, type: string | undefined = TYPE) => parseSubmitted(Buffer.from(JSON.stringify(document)), type);
const why = (document: object, type?: string): string => {
  try {
    parse(document, type);
    return "taken";
  } catch (error) {
    return isOciError(error) ? `${error.code}: ${error.message}` : String(error);
  }
};

describe("parseSubmitted", () => {
  it("tells what a manifest needs, what it only names, and how it is listed", () => {
    const config = { mediaType: "application/vnd.acme.config", digest: A };
    const foreign = { mediaType: "application/vnd.oci.image.layer.nondistributable.v1.tar", digest: C };
    const annotations = { "org.acme": "yes", odd: 5 };
    const subject = { digest: B };
    expect(parse({ config, layers: [{ digest: B }, foreign], subject, annotations }, `${TYPE}; charset=utf-8`)).toEqual({
      ...{ mediaType: TYPE, parts: [A, B, C], needs: [A, B], subject: B },
      ...{ artifactType: "application/vnd.acme.config", annotations: { "org.acme": "yes" } },
    });
    expect(parse({ config, artifactType: "application/sbom" }).artifactType).toBe("application/sbom");
    expect(parse({ layers: [{ digest: A, urls: ["https://a.example"] }] }).needs).toEqual([]);
    expect(why({ annotations: { a: "x".repeat(4_000_000) } })).toBe("taken");
    expect(parseSubmitted(Buffer.from(JSON.stringify({ mediaType: TYPE })), undefined).mediaType).toBe(TYPE);
  });

  it.each([
    [{ mediaType: "application/vnd.oci.image.index.v1+json" }, TYPE, "it says that it is"],
    [{ mediaType: 5 }, TYPE, "its mediaType is no text"],
    [{}, "application/octet-stream", "is no type of a manifest"],
    [{ schemaVersion: 1 }, TYPE, "schema 1"],
    [{ subject: { digest: "sha256:zz" } }, TYPE, "its subject"],
    [{ subject: "x" }, TYPE, "its subject"],
    [{ subject: { digest: A }, annotations: { a: "x".repeat(1_100_000) } }, TYPE, "its annotations"],
    [{ layers: Array.from({ length: 5_000 }, (_, n) => ({ digest: digestOf(Buffer.from(String(n))) })) }, TYPE, "it names more"],
  ])("refuses what it cannot stand for (%#)", (document, type, reason) => {
    expect(why(document, type)).toMatch(/^MANIFEST_INVALID: /);
    expect(why(document, type)).toContain(reason);
  });

  it("takes anything, or refuses it", () => {
    const value = fc.oneof(
      fc.string(),
      fc.json(),
      fc.object().map((any) => JSON.stringify(any)),
    );
    fc.assert(
      fc.property(value, fc.option(fc.string(), { nil: undefined }), (text, type) => {
        try {
          expect(parseSubmitted(Buffer.from(text), type).mediaType).toMatch(/json$/);
        } catch (error) {
          expect(error).toMatchObject({ code: "MANIFEST_INVALID" });
        }
      }),
    );
  });
});
