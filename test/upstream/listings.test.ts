import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseDigest } from "../../src/oci/digest.ts";
import { parseRepository } from "../../src/oci/reference.ts";
import { MAX_MANIFEST } from "../../src/oci/registry.ts";
import { nextPage } from "../../src/upstream/listings.ts";
import { cutAt, header, html, status } from "../faults/behaviours.ts";
import { OCI_INDEX } from "../faults/content.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { asking, failureOf, registryAt } from "./asking.ts";

const repo = parseRepository("team/app");

const world = async () => {
  const upstream = await faultUpstream();
  const { manifest } = upstream.content.seed({ repo, tag: "1" });
  for (const tag of ["2", "3"]) upstream.content.moveTag(repo, tag, manifest.digest);
  return { upstream, digest: parseDigest(manifest.digest), registry: registryAt(upstream.url) };
};
const json = (bytes: Buffer) => JSON.parse(bytes.toString()) as Record<string, unknown>;

describe("tags", () => {
  it("come as they are, and are counted", async () => {
    const { registry } = await world();
    const ctx = asking();
    const listing = await registry.listTags({ repo }, ctx);
    expect(listing).toMatchObject({ mediaType: "application/json", metadata: {}, provenance: { source: "miss" } });
    expect(json(listing.bytes)).toEqual({ name: repo, tags: ["1", "2", "3"] });
    expect(ctx.tally).toEqual({ upstreamBytes: listing.bytes.length, upstreamRequests: 1 });
  });

  it("go on from page to page", async () => {
    const { registry } = await world();
    const first = await registry.listTags({ repo, n: 2 }, asking());
    expect(json(first.bytes)["tags"]).toEqual(["1", "2"]);
    expect(first.metadata.next).toBe("/v2/team/app/tags/list?last=2&n=2");
    const second = await registry.listTags({ repo, n: 2, last: "2" }, asking());
    expect(json(second.bytes)["tags"]).toEqual(["3"]);
    expect(second.metadata.next).toBeUndefined();
  });

  it.each([
    ["an HTML page", html],
    ["no JSON", status(200, {}, "tags")],
    ["no object", status(200, {}, '["1"]')],
    ["encoded", header("content-encoding", "gzip")],
    ["too long", status(200, {}, " ".repeat(MAX_MANIFEST + 1))],
    ["a part", status(206, { "content-range": "bytes 0-1/2" }, "{}")],
  ])("that are %s are refused", async (_what, behaviour) => {
    const { upstream, registry } = await world();
    upstream.fault(/tags/, behaviour);
    expect((await failureOf(registry.listTags({ repo }, asking()))).code).toBe("UPSTREAM_INVALID");
  });

  it("that break off count as an outage", async () => {
    const { upstream, registry } = await world();
    upstream.fault(/tags/, cutAt(5));
    expect((await failureOf(registry.listTags({ repo }, asking()))).code).toBe("UPSTREAM_UNREACHABLE");
  });

  it("of no repository are NAME_UNKNOWN", async () => {
    const { registry } = await world();
    const failure = await failureOf(registry.listTags({ repo: parseRepository("no/such") }, asking()));
    expect(failure).toMatchObject({ code: "NAME_UNKNOWN", status: 404 });
  });
});

describe("referrers", () => {
  it("are an index, and the filter that upstream applied is told", async () => {
    const { upstream, registry, digest } = await world();
    const subject = { digest: String(digest) };
    const signature = upstream.content.putManifest(repo, undefined, { subject, artifactType: "application/x.signature" });
    upstream.content.putManifest(repo, undefined, { subject, artifactType: "application/x.sbom" });
    const all = await registry.listReferrers({ repo, digest }, asking());
    expect(all).toMatchObject({ mediaType: OCI_INDEX, metadata: {} });
    expect(json(all.bytes)["manifests"]).toHaveLength(2);
    const some = await registry.listReferrers({ repo, digest, artifactType: "application/x.signature" }, asking());
    expect(json(some.bytes)["manifests"]).toMatchObject([{ digest: signature.digest }]);
    expect(some.metadata.filtersApplied).toBe("artifactType");
  });

  it("that upstream has no endpoint for are 404: the client goes on by tag", async () => {
    const { upstream, registry, digest } = await world();
    upstream.fault(/referrers/, status(404, { "content-type": "text/plain" }, "404 page not found"));
    const failure = await failureOf(registry.listReferrers({ repo, digest }, asking()));
    expect(failure).toMatchObject({ status: 404, isUnknown: true });
  });
});

describe("the next page", () => {
  const base = new URL("https://registry.example/v2/a/tags/list?n=2");
  it.each<[string, string | undefined]>([
    ['</v2/a/tags/list?last=b&n=2>; rel="next"', "/v2/a/tags/list?last=b&n=2"],
    ["</v2/a/tags/list?last=b>;rel=next", "/v2/a/tags/list?last=b"],
    ['<https://registry.example/v2/a/tags/list?last=b>; rel="next"', "/v2/a/tags/list?last=b"],
    // behind a load balancer that ends TLS
    ['<http://registry.example/v2/a/tags/list?last=b>; rel="next"', "/v2/a/tags/list?last=b"],
    ['<?last=b>; rel="next"', "/v2/a/tags/list?last=b"],
    ['</v2/a/tags/list?last=a,b>; title="x"; rel="next"', "/v2/a/tags/list?last=a,b"],
    ['</first>; rel="first", </v2/next>; rel="next"', "/v2/next"],
    ['</v2/next>; rel="next", </last>; rel="last"', "/v2/next"],
    ['<https://evil.example/v2/a/tags/list?last=b>; rel="next"', undefined],
    ['<//evil.example/v2/a/tags/list>; rel="next"', undefined],
    // given on, it would lead a client to another host
    ['<https://registry.example//evil.example/x>; rel="next"', undefined],
    ['<https://registry.example:8443/v2/>; rel="next"', undefined],
    ['<file:///etc/passwd>; rel="next"', undefined],
    ['<https://[>; rel="next"', undefined],
    ['</v2/x>; rel="first"', undefined],
    ['</v2/x>; rel="nextish"', undefined],
    ["/v2/x", undefined],
    ["", undefined],
  ])("of %s is %s", (link, expected) => expect(nextPage([link], base)).toBe(expected));

  it("never throws, never leaves the site, and never takes long", () => {
    const piece = fc.constantFrom(
      "<",
      ">",
      ";",
      ",",
      " ",
      "rel=next",
      'rel="next"',
      "/a",
      "//b",
      "https://",
      "@",
      "\\",
      "?",
      "#",
      "\t",
    );
    const header = fc.array(piece, { maxLength: 40 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(fc.array(header, { maxLength: 3 }), (links) => {
        const next = nextPage(links, base);
        expect(next === undefined || (next.startsWith("/") && new URL(next, base).origin === base.origin)).toBe(true);
      }),
    );
    const began = performance.now();
    for (const part of ["<", "<a>;", "<a>;rel", "<a> "]) nextPage([part.repeat(16_000 / part.length)], base);
    expect(performance.now() - began).toBeLessThan(50);
  });
});
