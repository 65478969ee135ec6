import { describe, expect, it } from "vitest";
import { parseDigest } from "../../src/oci/digest.ts";
import { MANIFEST_TYPES } from "../../src/oci/media.ts";
import { parseReference, parseRepository } from "../../src/oci/reference.ts";
import { MAX_MANIFEST } from "../../src/oci/registry.ts";
import {
  cutAt,
  drip,
  header,
  hide404,
  html,
  noDigestHeader,
  redirect,
  stall,
  status,
  wrongBytes,
  wrongLength,
} from "../faults/behaviours.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { asking, failureOf, registryAt, transportFor } from "./asking.ts";

const repo = parseRepository("team/app");
const tag = parseReference("1");
const SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";

const image = async () => {
  const upstream = await faultUpstream();
  const seeded = upstream.content.seed({ repo, tag: "1", index: true });
  return { upstream, ...seeded, digest: parseDigest(seeded.top.digest), registry: registryAt(upstream.url) };
};

describe("a manifest", () => {
  it("comes by tag and by digest as it is, and is counted", async () => {
    const { registry, top, digest, upstream } = await image();
    const ctx = asking({ accept: ["application/x.own", MANIFEST_TYPES[1]] });
    const byTag = await registry.getManifest({ repo, reference: tag }, ctx);
    expect(byTag).toMatchObject({ bytes: top.bytes, descriptor: { digest, mediaType: top.mediaType, size: top.bytes.length } });
    expect(await registry.getManifest({ repo, reference: digest }, asking())).toMatchObject({ bytes: top.bytes });
    expect(ctx.tally).toEqual({ upstreamBytes: top.bytes.length, upstreamRequests: 1 });
    expect(upstream.log[0]!.headers.accept).toBe([...MANIFEST_TYPES, "application/x.own"].join(", "));
    await registry.getManifest({ repo, reference: tag, isExact: true }, ctx);
    expect(upstream.log[2]!.headers.accept).toBe(`application/x.own, ${MANIFEST_TYPES[1]}`);
  });

  it("may go by sha512", async () => {
    const { upstream, registry } = await image();
    const held = upstream.content.putManifest(repo, "512", { layers: [] }, undefined, "sha512");
    const digest = parseDigest(held.digest);
    expect((await registry.getManifest({ repo, reference: digest }, asking())).descriptor.digest).toBe(digest);
    expect((await registry.getManifest({ repo, reference: parseReference("512") }, asking())).descriptor.digest).toBe(digest);
    upstream.fault(/manifests/, wrongBytes);
    expect((await failureOf(registry.getManifest({ repo, reference: digest }, asking()))).code).toBe("UPSTREAM_INVALID");
  });

  it("by digest that is another one, rightly named, is refused", async () => {
    const { upstream, registry, digest } = await image();
    const other = upstream.content.putManifest(repo, undefined, { layers: [] });
    const lie = { "content-type": other.mediaType, "docker-content-digest": other.digest };
    upstream.fault(/manifests/, status(200, lie, other.bytes.toString()));
    expect((await failureOf(registry.getManifest({ repo, reference: digest }, asking()))).code).toBe("UPSTREAM_INVALID");
  });

  it("gets its digest from its bytes where upstream says none", async () => {
    const { upstream, registry, digest } = await image();
    upstream.fault(/manifests/, noDigestHeader);
    expect((await registry.getManifest({ repo, reference: tag }, asking())).descriptor.digest).toBe(digest);
  });

  it.each([
    ["other bytes", wrongBytes],
    ["another digest", header("docker-content-digest", `sha256:${"0".repeat(64)}`)],
    ["an HTML page", html],
    ["no JSON", status(200, {}, "[1]")],
    ["an encoding", header("content-encoding", "gzip")],
    ["too much", status(200, {}, " ".repeat(MAX_MANIFEST + 1))],
    ["a redirect to nowhere", status(307, {}, "")],
    ["a part", status(206, { "content-range": "bytes 0-1/9" }, "{}")],
    ["nothing", status(204)],
  ])("that is %s is refused", async (_what, behaviour) => {
    const { upstream, registry } = await image();
    upstream.fault(/manifests/, behaviour);
    expect((await failureOf(registry.getManifest({ repo, reference: tag }, asking()))).code).toBe("UPSTREAM_INVALID");
  });

  it.each([
    ["cut", cutAt(20)],
    ["short of its length", wrongLength(5)],
    ["never there", status(200, { "content-length": "100" }, "")],
  ])("that is %s counts as an outage", async (_what, behaviour) => {
    const { upstream, registry } = await image();
    upstream.fault(/manifests/, behaviour);
    expect((await failureOf(registry.getManifest({ repo, reference: tag }, asking()))).code).toBe("UPSTREAM_UNREACHABLE");
  });

  it("is waited for while it drips, and not any more when the caller leaves", async () => {
    const { upstream, registry, digest } = await image();
    const lift = upstream.fault(/manifests/, drip(50, 5));
    expect((await registry.getManifest({ repo, reference: tag }, asking())).descriptor.digest).toBe(digest);
    lift();
    upstream.fault(/manifests/, stall(20));
    const client = new AbortController();
    const waiting = registry.getManifest({ repo, reference: tag }, asking({ signal: client.signal }));
    await expect.poll(() => upstream.bytes()).toBeGreaterThan(20);
    client.abort();
    await expect(waiting).rejects.toThrow(expect.objectContaining({ name: "AbortError" }));
  });

  it("has its type from its header, or from itself where the header says nothing", async () => {
    const { upstream, registry } = await image();
    const typeWith = async (type: string | undefined, mediaType: unknown) => {
      upstream.clearFaults();
      upstream.fault(/manifests/, status(200, {}, JSON.stringify({ mediaType })));
      upstream.fault(/manifests/, header("content-type", type));
      return (await registry.getManifest({ repo, reference: tag }, asking())).descriptor.mediaType;
    };
    expect(await typeWith(`${MANIFEST_TYPES[0]}; charset=utf-8`, "application/other")).toBe(MANIFEST_TYPES[0]);
    expect(await typeWith("application/octet-stream", MANIFEST_TYPES[1])).toBe(MANIFEST_TYPES[1]);
    expect(await typeWith("text/plain", "a/b\r\nx-evil: 1")).toBe("text/plain");
    expect(await typeWith("application/json", { a: 1 })).toBe("application/json");
    expect(await typeWith(undefined, MANIFEST_TYPES[1])).toBe(MANIFEST_TYPES[1]);
    expect(await typeWith(undefined, undefined)).toBe("application/json");
  });

  it("of schema 1 is taken at upstream's word", async () => {
    const { upstream, registry } = await image();
    const claim = `sha256:${"a".repeat(64)}`;
    upstream.fault(/manifests/, status(200, { "content-type": SCHEMA1, "docker-content-digest": claim }, '{"schemaVersion":1}'));
    expect((await registry.getManifest({ repo, reference: tag }, asking())).descriptor).toMatchObject({
      digest: claim,
      mediaType: SCHEMA1,
    });
  });

  it.each<[number, string, boolean]>([
    [401, "UNAUTHORIZED", false],
    [403, "DENIED", false],
    [404, "MANIFEST_UNKNOWN", false],
    [402, "UNSUPPORTED", false],
    [451, "UNSUPPORTED", false],
    [429, "TOOMANYREQUESTS", true],
    [500, "UPSTREAM_INVALID", true],
    [503, "UPSTREAM_INVALID", true],
  ])("refused with %i is %s, in upstream's words", async (code, expected, isOutage) => {
    const { upstream, registry } = await image();
    upstream.fault(/manifests/, status(code, { "retry-after": "17", "content-type": "application/json" }, "{}"));
    const failure = await failureOf(registry.getManifest({ repo, reference: tag }, asking()));
    expect(failure).toMatchObject({ code: expected, status: code, isOutage });
    expect(failure.upstream).toEqual({
      status: code,
      challenges: [],
      contentType: "application/json",
      body: "{}",
      retryAfter: "17",
    });
  });

  it.each([
    ["NAME_UNKNOWN", '{"errors":[{"code":"NAME_UNKNOWN"}]}'],
    ["MANIFEST_UNKNOWN", '{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'],
    ["MANIFEST_UNKNOWN", '{"errors":[{"code":"DENIED"}]}'],
    ["MANIFEST_UNKNOWN", '{"errors":[null]}'],
    ["MANIFEST_UNKNOWN", '{"errors":{}}'],
    ["MANIFEST_UNKNOWN", "404 page not found"],
  ])("unknown is %s where upstream says %s", async (expected, body) => {
    const { upstream, registry } = await image();
    upstream.fault(/manifests/, status(404, {}, body));
    const failure = await failureOf(registry.getManifest({ repo, reference: tag }, asking()));
    expect(failure).toMatchObject({ code: expected, status: 404, upstream: { body } });
  });

  it("has upstream's words bounded", async () => {
    const { upstream, registry } = await image();
    upstream.fault(/manifests/, status(403, {}, "x".repeat(1_000_000)));
    expect((await failureOf(registry.getManifest({ repo, reference: tag }, asking()))).upstream?.body.length).toBe(64 * 1024);
    upstream.clearFaults();
    upstream.fault(/manifests/, status(403, {}, "x".repeat(1_000)));
    upstream.fault(/manifests/, cutAt(10));
    expect(await failureOf(registry.getManifest({ repo, reference: tag }, asking()))).toMatchObject({
      code: "DENIED",
      status: 403,
    });
  });

  it("brings limits and warnings along, and nothing else", async () => {
    const { upstream, registry } = await image();
    const headers = { "ratelimit-limit": "100;w=21600", "ratelimit-remaining": "7;w=21600", "set-cookie": "a=b" };
    for (const [name, value] of Object.entries(headers)) upstream.fault(/manifests/, header(name, value));
    upstream.fault(/manifests/, header("warning", ['299 - "moved"', '110 - "stale"']));
    expect((await registry.getManifest({ repo, reference: tag }, asking())).metadata).toEqual({
      rateLimit: { "ratelimit-limit": "100;w=21600", "ratelimit-remaining": "7;w=21600" },
      warnings: ['299 - "moved"'],
    });
  });
});

describe("HEAD of a manifest", () => {
  it("tells all without a GET", async () => {
    const { upstream, registry, top, digest } = await image();
    const stat = await registry.statManifest({ repo, reference: tag }, asking());
    expect(stat.descriptor).toEqual({ digest, mediaType: top.mediaType, size: top.bytes.length });
    expect(upstream.log.map(({ method }) => method)).toEqual(["HEAD"]);
  });

  it.each([
    ["digest", noDigestHeader],
    ["digest that is one", header("docker-content-digest", "md5:0")],
    ["type", header("content-type", "application/octet-stream")],
    ["length that can be right", header("content-length", "0")],
  ])("without a %s becomes a GET", async (_what, behaviour) => {
    const { upstream, registry, digest } = await image();
    upstream.fault(/manifests/, behaviour, 1);
    expect((await registry.statManifest({ repo, reference: tag }, asking())).descriptor.digest).toBe(digest);
    expect(upstream.log.map(({ method }) => method)).toEqual(["HEAD", "GET"]);
  });

  it("says what a GET would say", async () => {
    const { upstream, registry } = await image();
    const missing = await failureOf(registry.statManifest({ repo, reference: parseReference("no") }, asking()));
    expect(missing.code).toBe("MANIFEST_UNKNOWN");
    upstream.fault(/manifests/, html);
    expect((await failureOf(registry.statManifest({ repo, reference: tag }, asking()))).code).toBe("UPSTREAM_INVALID");
  });
});

describe("what a redirect leads to", () => {
  it("is an answer, but its refusal is none of the client's", async () => {
    const { upstream, registry, digest } = await image();
    upstream.fault(({ origin }) => origin === "registry", redirect());
    upstream.fault(({ origin }) => origin === "store", header("content-type", MANIFEST_TYPES[0]));
    expect((await registry.getManifest({ repo, reference: digest }, asking())).descriptor.digest).toBe(digest);
    upstream.fault(({ origin }) => origin === "store", status(403));
    const failure = await failureOf(registry.getManifest({ repo, reference: digest }, asking()));
    expect(failure).toMatchObject({ code: "UPSTREAM_UNREACHABLE", isRefusal: false, isOutage: true });
  });
});

describe("several upstreams", () => {
  const two = async () => {
    const [first, second] = [await faultUpstream(), await faultUpstream()];
    second.content.seed({ repo, tag: "1" });
    return { first, second, registry: registryAt([first.url, second.url], undefined, transportFor()) };
  };

  it.each<[string, Parameters<Awaited<ReturnType<typeof faultUpstream>>["fault"]>[1]]>([
    ["says 503", status(503)],
    ["says 429", status(429)],
    ["loops", status(508)],
    ["breaks a redirect", status(307, { location: "http://127.0.0.1:1/" }, "")],
  ])("are asked in turn when one %s", async (_how, behaviour) => {
    const { first, second, registry } = await two();
    first.fault(/manifests/, behaviour);
    const ctx = asking();
    await registry.getManifest({ repo, reference: tag }, ctx);
    expect([first.count(), second.count()]).toEqual([1, 1]);
  });

  it("are asked in turn when one is away, and the last one's failure is told", async () => {
    const { first, second, registry } = await two();
    await first.stop();
    await registry.getManifest({ repo, reference: tag }, asking());
    second.fault(/manifests/, status(503));
    expect((await failureOf(registry.getManifest({ repo, reference: tag }, asking()))).status).toBe(503);
  });

  it("are not asked after an answer, be it no", async () => {
    const { first, second, registry } = await two();
    expect((await failureOf(registry.getManifest({ repo, reference: tag }, asking()))).code).toBe("NAME_UNKNOWN");
    first.fault(/manifests/, status(401));
    expect((await failureOf(registry.getManifest({ repo, reference: tag }, asking()))).code).toBe("UNAUTHORIZED");
    first.fault(/manifests/, hide404);
    expect((await failureOf(registry.getManifest({ repo, reference: tag }, asking()))).status).toBe(404);
    expect(second.count()).toBe(0);
  });

  it("are not asked for a client that has left", async () => {
    const { first, second, registry } = await two();
    first.freeze();
    const client = new AbortController();
    const waiting = registry.getManifest({ repo, reference: tag }, asking({ signal: client.signal }));
    await expect.poll(() => first.count()).toBe(1);
    client.abort();
    await expect(waiting).rejects.toThrow();
    expect(second.count()).toBe(0);
  });
});
