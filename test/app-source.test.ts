// What a sync reads of a site, over real sockets: as whom it asks, what of it is kept, and that clients gain no right by it.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { DoorsBelow } from "../src/app-below.ts";
import { sourceBelow } from "../src/app-source.ts";
import { silent } from "../src/lib/log.ts";
import { parseDigest } from "../src/oci/digest.ts";
import { isOciError } from "../src/oci/error.ts";
import { ownContext } from "../src/oci/own-context.ts";
import { parseReference, parseRepository, type Tag } from "../src/oci/reference.ts";
import type { Blob } from "../src/oci/registry.ts";
import { PUBLIC } from "../src/store/facts.ts";
import { memoryBlobs } from "../src/store/memory.ts";
import { memoryFacts } from "../src/store/memory-facts.ts";
import { status } from "./faults/behaviours.ts";
import { faultUpstream } from "./faults/upstream.ts";
import { OWN as OWN_NAME, SITE, siteDoor } from "./http/site-door.ts";

const ctx = () => ownContext("test", new AbortController().signal);
const OPEN = parseRepository("open/app");
const ANNS = parseRepository("ann/app");
const v1 = parseReference("v1");
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => "done",
    (error: unknown) => (isOciError(error) ? error.code : String(error)),
  );

const read = async ({ body }: Blob): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of body as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
};

const world = async (settings: object = {}, users: Record<string, string> = { ann: "pw" }) => {
  const upstream = await faultUpstream({ auth: { kind: "bearer", users, owners: { "ann/app": "ann" } } });
  const [open, anns] = [OPEN, ANNS].map((repo) => upstream.content.seed({ repo, tag: "v1", layers: 2_000 }));
  const opened = await siteDoor(upstream, settings);
  return { upstream, users, open: open!, anns: anns!, ...opened, source: opened.site.source };
};

const OWN = { credentials: { username: "ann", password: "pw" } };
const ask = (password: string) => ({ headers: { authorization: `Basic ${Buffer.from(`ann:${password}`).toString("base64")}` } });

describe("a site without credentials", () => {
  it("is asked as anybody, with tokens of anybody's, and what is read through its cache is public and held", async () => {
    const { source, open, blobs, facts, upstream } = await world();
    const { descriptor } = await source.upstream.statManifest({ repo: OPEN, reference: v1 }, ctx());
    expect(descriptor.digest).toBe(open.top.digest);
    expect(await codeOf(source.upstream.statManifest({ repo: ANNS, reference: v1 }, ctx()))).toBe("UNAUTHORIZED");
    const digest = parseDigest(open.layers[0]!.digest);
    expect(await read(await source.cache.getBlob({ repo: OPEN, digest }, ctx()))).toEqual(open.layers[0]!.bytes);
    expect(await blobs.stat(digest)).toEqual({ size: 2_000 });
    expect(await facts.link({ site: SITE, repo: OPEN, digest })).toBeDefined();
    upstream.clear();
    await read(await source.cache.getBlob({ repo: OPEN, digest }, ctx()));
    expect(upstream.log).toEqual([]);
  });
});

describe("a site with credentials whose clients show theirs", () => {
  it("is asked as Layover itself; that is kept and linked, and gives no client anything", async () => {
    const { source, anns, facts, grants, ask: client, upstream } = await world(OWN);
    const digest = parseDigest(anns.top.digest);
    const layer = parseDigest(anns.layers[0]!.digest);
    expect((await source.cache.getManifest({ repo: ANNS, reference: digest }, ctx())).bytes).toEqual(anns.top.bytes);
    await read(await source.cache.getBlob({ repo: ANNS, digest: layer }, ctx()));
    for (const one of [digest, layer]) expect(await facts.link({ site: SITE, repo: ANNS, digest: one })).toBeDefined();
    expect(await grants.get({ site: SITE, repo: ANNS, subject: PUBLIC })).toBeUndefined();
    for (const path of [`manifests/${digest}`, `blobs/${layer}`, "manifests/v1"]) {
      expect((await client(`/v2/ann/app/${path}`)).status).toBe(401);
      expect((await client(`/v2/ann/app/${path}`, ask("no"))).status).toBe(401);
    }
    // what is held costs a sync no byte
    upstream.clear();
    await read(await source.cache.getBlob({ repo: ANNS, digest: layer }, ctx()));
    expect(upstream.bytes(({ path }) => path.includes("/blobs/"))).toBe(0);
  });

  it("gives nobody anything of it by any way in, whether what is missing is refused, and once the credentials are gone", async () => {
    const [blobs, facts] = [memoryBlobs(), memoryFacts()];
    const upstream = await faultUpstream({
      auth: { kind: "bearer", users: { ann: "pw", bob: "pw" }, owners: { "ann/app": "ann" } },
    });
    const anns = upstream.content.seed({ repo: ANNS, tag: "v1", layers: 2_000 });
    const [top, layer] = [anns.top.digest, anns.layers[0]!.digest];
    const { site, facts: kept } = await siteDoor(upstream, OWN, {}, { blobs, facts });
    await site.source.cache.getManifest({ repo: ANNS, reference: v1 }, ctx());
    await read(await site.source.cache.getBlob({ repo: ANNS, digest: parseDigest(layer) }, ctx()));
    await kept.holdTag({ site: SITE, repo: ANNS, tag: v1 as Tag }, { digest: parseDigest(top), at: 1, kind: "pin" });
    for (const settings of [OWN, { ...OWN, onMissing: "refuse" }, {}, { onMissing: "refuse" }]) {
      const { ask: client } = await siteDoor(upstream, settings, {}, { blobs, facts });
      const seen = new Set<string>();
      for (const authorization of [undefined, ask("no").headers.authorization, `Basic ${btoa("bob:pw")}`, "Bearer made.up.it"])
        for (const [prefix, host] of [
          ["/v2/ann/app", SITE],
          [`/v2/${SITE}/ann/app`, OWN_NAME],
        ] as const)
          for (const path of ["manifests/v1", `manifests/${top}`, `blobs/${layer}`, "tags/list", `referrers/${top}`])
            for (const method of ["GET", "HEAD"]) {
              const headers = { ...(authorization && { authorization }), range: "bytes=0-9" };
              const { status, headers: said, body } = await client(`${prefix}/${path}`, { method, host, headers });
              seen.add(`${host === SITE} ${status}`);
              expect([status, said["docker-content-digest"], body.toString()]).toEqual([
                host === SITE ? 401 : 404,
                undefined,
                expect.not.stringMatching(/sha256|not in this mirror/),
              ]);
            }
      expect(seen.size).toBe(2);
    }
  });

  it("does not make public what it has read of a public repository", async () => {
    const { source, open, grants } = await world(OWN);
    await source.cache.getManifest({ repo: OPEN, reference: parseDigest(open.top.digest) }, ctx());
    expect(await grants.get({ site: SITE, repo: OPEN, subject: PUBLIC })).toBeUndefined();
  });

  it("has to show again what is held once upstream has refused them", async () => {
    const { source, anns, users, upstream } = await world(OWN);
    const digest = parseDigest(anns.layers[0]!.digest);
    await read(await source.cache.getBlob({ repo: ANNS, digest }, ctx()));
    users["ann"] = "another";
    upstream.gate.revokeTokens();
    expect(await codeOf(source.upstream.statManifest({ repo: ANNS, reference: v1 }, ctx()))).toBe("DENIED");
    expect(await codeOf(source.cache.getManifest({ repo: ANNS, reference: v1 }, ctx()))).toBe("DENIED");
    expect(await codeOf(source.cache.getBlob({ repo: ANNS, digest }, ctx()))).toBe("DENIED");
  });

  it("takes a password that is replaced in its file", async () => {
    const folder = mkdtempSync(join(tmpdir(), "layover-source-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const passwordFile = join(folder, "password");
    writeFileSync(passwordFile, "old");
    const { source, users } = await world({ credentials: { username: "ann", passwordFile } }, { ann: "new" });
    expect(await codeOf(source.upstream.listTags({ repo: ANNS }, ctx()))).toBe("DENIED");
    writeFileSync(passwordFile, "new");
    await expect.poll(() => codeOf(source.upstream.listTags({ repo: ANNS }, ctx())), { timeout: 5_000 }).toBe("done");
    expect(users).toEqual({ ann: "new" });
  });
});

describe("other sites", () => {
  it("that are shared are read as ever, with what clients have", async () => {
    const { source, anns, ask: client } = await world({ access: "shared", ...OWN });
    await source.cache.getManifest({ repo: ANNS, reference: parseDigest(anns.top.digest) }, ctx());
    expect((await client(`/v2/ann/app/manifests/${anns.top.digest}`)).status).toBe(200);
  });

  it("that are offline say that nothing of them can be synced, and ask nobody", async () => {
    const { source, upstream } = await world({ offline: true });
    const stat = source.upstream.statManifest({ repo: OPEN, reference: v1 }, ctx());
    await expect(stat).rejects.toMatchObject({ code: "UNSUPPORTED", message: expect.stringContaining("offline") as string });
    expect(await codeOf(source.listRepositories!({}, ctx()))).toBe("UNSUPPORTED");
    expect(await codeOf(source.cache.getManifest({ repo: OPEN, reference: v1 }, ctx()))).toBe("UNSUPPORTED");
    expect(upstream.log).toEqual([]);
  });
});

describe("a list of repositories", () => {
  const namesIn = (bytes: Buffer) => (JSON.parse(bytes.toString()) as { repositories: string[] }).repositories;

  it("comes page by page, with a token for just that", async () => {
    const { source, upstream } = await world(OWN);
    const first = await source.listRepositories!({ n: 1 }, ctx());
    expect([namesIn(first.bytes), first.metadata.next]).toEqual([["ann/app"], "/v2/_catalog?last=ann/app&n=1"]);
    const second = await source.listRepositories!({ n: 1, last: "ann/app" }, ctx());
    expect([namesIn(second.bytes), second.metadata.next]).toEqual([["open/app"], undefined]);
    const scopes = upstream.requests(/\/token/).map(({ path }) => new URL(path, upstream.url).searchParams.get("scope"));
    expect(scopes).toEqual(["registry:catalog:*"]);
  });

  it.each([401, 403, 404, 405, 400])("that a registry refuses with %i is told to be none", async (code) => {
    const { source, upstream } = await world(OWN);
    upstream.fault(/_catalog/, status(code));
    await expect(source.listRepositories!({}, ctx())).rejects.toMatchObject({
      code: "UNSUPPORTED",
      message: expect.stringContaining("name the repositories one by one") as string,
    });
  });

  it("is none for who has no login where it takes one, and not at hand in an outage", async () => {
    const { source, upstream } = await world();
    expect(await codeOf(source.listRepositories!({}, ctx()))).toBe("UNSUPPORTED");
    upstream.fault(/_catalog/, status(500));
    expect(await codeOf(source.listRepositories!({}, ctx()))).toBe("UPSTREAM_INVALID");
  });
});

describe("a host below a wildcard", () => {
  it("keeps its door while anything is read through it, and opens it again", async () => {
    const { site } = await world();
    const closed: string[] = [];
    let now = 0;
    const one = { ...site.site, wildcard: "*.test" };
    const doors = new DoorsBelow(
      () => ({ door: { ...site, site: one }, close: async () => void closed.push("closed") }),
      silent,
      {
        max: 1,
        now: () => (now += 3_600_000),
      },
    );
    onTestFinished(() => doors.close());
    const source = sourceBelow(() => doors.enter(one));
    const { descriptor } = await source.cache.getManifest({ repo: OPEN, reference: v1 }, ctx());
    const { bytes } = await source.upstream.getManifest({ repo: OPEN, reference: descriptor.digest }, ctx());
    const [layer] = (JSON.parse(bytes.toString()) as { layers: { digest: string }[] }).layers;
    const blob = await source.cache.getBlob({ repo: OPEN, digest: parseDigest(layer!.digest) }, ctx());
    doors.closeIdle();
    expect(doors.opened()).toHaveLength(1);
    await read(blob);
    expect(await codeOf(source.upstream.listTags({ repo: ANNS }, ctx()))).toBe("UNAUTHORIZED");
    await expect
      .poll(() => {
        doors.closeIdle();
        return closed.length;
      })
      .toBe(1);
  });
});
