import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OciError } from "../../src/oci/error.ts";
import { parseRequest, requestPath } from "../../src/oci/request.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const parse = (method: string, target: string) => {
  const url = new URL(target, "http://x");
  try {
    return parseRequest(method, target.split("?")[0]!, url.searchParams);
  } catch (error) {
    if (error instanceof OciError) return error.code;
    throw error;
  }
};

describe("parseRequest", () => {
  it.each([
    ["GET", "/v2/", { kind: "ping" }],
    ["HEAD", "/v2", { kind: "ping" }],
    ["GET", `/v2/a/b/blobs/${DIGEST}`, { kind: "blob", head: false, repo: "a/b", digest: DIGEST }],
    ["HEAD", `/v2/a/blobs/${DIGEST}`, { kind: "blob", head: true, repo: "a", digest: DIGEST }],
    ["GET", "/v2/a/manifests/v1", { kind: "manifest", head: false, repo: "a", reference: "v1" }],
    [
      "GET",
      "/v2/a/manifests/manifests/manifests/v1",
      { kind: "manifest", head: false, repo: "a/manifests/manifests", reference: "v1" },
    ],
    ["GET", "/v2/a/tags/list?n=5&last=x", { kind: "tags", repo: "a", n: 5, last: "x" }],
    [
      "GET",
      `/v2/a/referrers/${DIGEST}?artifactType=t&page=2`,
      { kind: "referrers", repo: "a", digest: DIGEST, artifactType: "t", page: "page=2" },
    ],
    ["PUT", "/v2/a/manifests/v1", { kind: "write", what: "manifest", repo: "a", reference: "v1" }],
    [
      "PUT",
      `/v2/a/manifests/${DIGEST}?tag=v1&tag=v2`,
      { kind: "write", what: "manifest", repo: "a", reference: DIGEST, tags: ["v1", "v2"] },
    ],
    ["DELETE", `/v2/a/blobs/${DIGEST}`, { kind: "write", what: "blob", repo: "a", digest: DIGEST }],
    ["DELETE", "/v2/a/blobs/blake3:00", { kind: "write", what: "blob", repo: "a", digest: "blake3:00" }],
    ["POST", "/v2/a/blobs/uploads", { kind: "write", what: "upload", repo: "a" }],
    ["POST", "/v2/a/blobs/uploads/?mount=x&from=b/c", { kind: "write", what: "upload", repo: "a", mount: "x", from: "b/c" }],
    ["POST", `/v2/a/blobs/uploads/?digest=${DIGEST}`, { kind: "write", what: "upload", repo: "a", digest: DIGEST }],
    ["POST", "/v2/a/blobs/uploads/?digest-algorithm=sha512", { kind: "write", what: "upload", repo: "a", algorithm: "sha512" }],
    ["PATCH", "/v2/a/blobs/uploads/some-id/deeper", { kind: "write", what: "upload", repo: "a", upload: "some-id/deeper" }],
    ["PUT", "/v2/a/blobs/uploads/id?digest=", { kind: "write", what: "upload", repo: "a", upload: "id", digest: "" }],
    ["GET", "/v2/a/blobs/uploads/some-id", { kind: "write", what: "upload", repo: "a", upload: "some-id" }],
    ["GET", "/v2/auth?service=x", { kind: "other" }],
    ["GET", "/v2/_catalog", { kind: "catalog" }],
    ["GET", "/v2/_catalog?n=3&last=a/b", { kind: "catalog", n: 3, last: "a/b" }],
    ["GET", "/v2/_catalog?n=x", "PAGINATION_NUMBER_INVALID"],
    ["DELETE", "/v2/_catalog", "UNSUPPORTED"],
    ["GET", "/token", { kind: "other" }],
    ["GET", "/v2/A/manifests/v1", "NAME_INVALID"],
    ["GET", "/v2/a%2Fb/manifests/v1", "NAME_INVALID"],
    ["GET", "/v2/../manifests/v1", "NAME_INVALID"],
    ["GET", "/v2/a/manifests/-", "MANIFEST_INVALID"],
    ["GET", "/v2/a/blobs/sha256:zz", "DIGEST_INVALID"],
    ["GET", "/v2/a/blobs/latest", "DIGEST_INVALID"],
    ["GET", "/v2/a/tags/list?n=-1", "PAGINATION_NUMBER_INVALID"],
    ["POST", "/v2/a/manifests/v1x", { kind: "write", what: "manifest", repo: "a", reference: "v1x" }],
    ["BREW", "/v2/a/manifests/v1", "UNSUPPORTED"],
    ["DELETE", "/v2/a/tags/list", "UNSUPPORTED"],
    ["POST", "/v2/", "UNSUPPORTED"],
  ])("%s %s", (method, target, want) => expect(parse(method, target)).toEqual(want));

  it("says nothing but a value or an OCI error, whatever comes", () => {
    const part = fc.oneof(
      fc.constantFrom("v2", "manifests", "blobs", "uploads", "tags", "list", "referrers", "..", "", DIGEST, "a", "%00"),
      fc.string(),
    );
    fc.assert(
      fc.property(
        fc.constantFrom("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "X"),
        fc.array(part, { maxLength: 8 }),
        (method, parts) => {
          try {
            expect(parseRequest(method, `/${parts.join("/")}`, new URLSearchParams("n=1"))).toHaveProperty("kind");
          } catch (error) {
            expect(error).toBeInstanceOf(OciError);
          }
        },
      ),
    );
  });

  it("builds what it parses", () => {
    for (const target of [
      "/v2/",
      "/v2/a/b/manifests/v1",
      `/v2/a/blobs/${DIGEST}`,
      "/v2/a/tags/list?n=5&last=x",
      `/v2/a/referrers/${DIGEST}?artifactType=t&x=1`,
    ]) {
      const request = parse("GET", target);
      if (typeof request === "string" || request.kind === "write" || request.kind === "catalog" || request.kind === "other")
        throw new Error(target);
      expect(requestPath(request)).toBe(target);
    }
  });
});
