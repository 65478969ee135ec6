import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseDigest } from "../../src/oci/digest.ts";
import { parseReference, parseRepository } from "../../src/oci/reference.ts";
import { MAX_RETRY_AFTER, parseRetryAfter } from "../../src/upstream/retry-after.ts";
import { redirect, status } from "../faults/behaviours.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { asking, failureOf, NOW, registryAt } from "./asking.ts";

describe("Retry-After", () => {
  it.each([
    ["0", 0],
    ["7", 7_000],
    [" 7 ", 7_000],
    ["0.25", 250],
    ["86400", 86_400_000],
    ["99999999", MAX_RETRY_AFTER],
    [String(NOW / 1_000 + 90), 90_000],
    ["999999999999999", MAX_RETRY_AFTER],
    [new Date(NOW + 90_000).toUTCString(), 90_000],
    [new Date(NOW - 90_000).toUTCString(), 0],
    [new Date(NOW + 90 * 86_400_000).toUTCString(), MAX_RETRY_AFTER],
    ["-1", undefined],
    ["1e9", undefined],
    ["0x10", undefined],
    ["NaN", undefined],
    ["Infinity", undefined],
    ["", undefined],
    ["soon", undefined],
    ["2026", 2_026_000],
    ["2026-11-24", undefined],
    ["Tue, 99 Nov 2026 08:00:00 GMT", undefined],
    ["9".repeat(5_000), undefined],
    [undefined, undefined],
  ])("%j is %j ms", (value, ms) => {
    expect(parseRetryAfter(value, NOW)).toBe(ms);
  });

  it("is never negative, without end, or an exception, whatever is sent", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[\d .:,GMTuea-]{0,40}$/), fc.float().map(String)), (value) => {
        const ms = parseRetryAfter(value, NOW);
        return ms === undefined || (Number.isInteger(ms) && ms >= 0 && ms <= MAX_RETRY_AFTER);
      }),
    );
  });

  const repo = parseRepository("a");

  it.each([429, 503])("of a %i goes with the error, in upstream's words and in milliseconds", async (code) => {
    const upstream = await faultUpstream();
    upstream.fault(/manifests/, status(code, { "retry-after": "17" }));
    const failure = await failureOf(registryAt(upstream.url).getManifest({ repo, reference: parseReference("1") }, asking()));
    expect(failure).toMatchObject({ retryAfterMs: 17_000, upstream: { retryAfter: "17", status: code } });
  });

  it("of where a blob was redirected to goes with it as well", async () => {
    const upstream = await faultUpstream();
    const { digest } = upstream.content.putBlob("a", Buffer.from("x"));
    upstream.fault(/blobs/, redirect());
    upstream.fault(/signed/, status(429, { "retry-after": new Date(NOW + 5_000).toUTCString() }));
    const failure = await failureOf(registryAt(upstream.url).getBlob({ repo, digest: parseDigest(digest) }, asking()));
    expect(failure).toMatchObject({ code: "TOOMANYREQUESTS", retryAfterMs: 5_000 });
  });

  it("is not there where nothing is said of it", async () => {
    const upstream = await faultUpstream();
    upstream.fault(/manifests/, status(429));
    const failure = await failureOf(registryAt(upstream.url).getManifest({ repo, reference: parseReference("1") }, asking()));
    expect(failure.retryAfterMs).toBeUndefined();
  });
});
