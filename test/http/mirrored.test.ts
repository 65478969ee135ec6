// A mirrored site as clients read it, over real sockets: what is synced is served without a question about its tag, however upstream has moved
// on, and where `onMissing` refuses nothing else is; who may not read it hears the same of all.
import { describe, expect, it } from "vitest";
import { parseDigest } from "../../src/oci/digest.ts";
import type { Repository } from "../../src/oci/reference.ts";
import { status } from "../faults/behaviours.ts";
import { type Image, OCI_INDEX, OCI_MANIFEST } from "../faults/content.ts";
import { ACCEPT, entryOf, mirroredSite, only, PRIVATE, REPO } from "./mirrored-site.ts";
import { OWN, SITE } from "./site-door.ts";

const OPEN = { kind: "none" } as const;
const messageOf = ({ body }: { body: Buffer }) =>
  (JSON.parse(body.toString()) as { errors: { message: string }[] }).errors[0]!.message;
const codeOf = ({ body }: { body: Buffer }) => (JSON.parse(body.toString()) as { errors: { code: string }[] }).errors[0]!.code;

describe.each(["cache", "refuse"])("with onMissing: %s", (onMissing) => {
  it("a synced tag is what it was until the next sync, and costs no question", async () => {
    const { seed, sync, pull, whole, upstream } = await mirroredSite({ onMissing });
    const old = seed("v1");
    expect(await sync()).toMatchObject({ isGood: true });
    const now = seed("v1");
    expect(await pull(old)).toEqual(whole(old));
    // one for the right to the repository, by what is held, and whether anybody has it
    const asked = upstream.requests(/manifests/).map(({ method, path }) => `${method} ${path}`);
    expect(new Set(asked)).toEqual(new Set([`HEAD /v2/${REPO}/manifests/${old.top.digest}`]));
    expect(asked.length).toBeLessThanOrEqual(2);
    upstream.clear();
    expect(await pull(old)).toEqual(whole(old));
    expect(upstream.count()).toBe(0);
    await sync();
    expect(await pull(now)).toEqual(whole(now));
    expect(upstream.requests(/manifests/)).toEqual([]);
  });

  it("it stays though upstream deletes it, is away, or answers with errors, for whoever has a right", async () => {
    const { seed, sync, pull, whole, upstream } = await mirroredSite({ onMissing });
    const old = seed("v1");
    await sync();
    await pull(old);
    const repo = upstream.content.repo(REPO);
    for (const part of [repo.tags, repo.manifests, repo.blobs]) part.clear();
    expect(await pull(old)).toEqual(whole(old));
    await upstream.stop();
    expect(await pull(old)).toEqual(whole(old));
  });

  it("a right is asked for anew where it is not known, and 404 for all takes nothing away", async () => {
    const { seed, sync, pull, whole, upstream, door, authorization } = await mirroredSite({ onMissing });
    const old = seed("v1");
    await sync();
    const repo = upstream.content.repo(REPO);
    for (const part of [repo.tags, repo.manifests, repo.blobs]) part.clear();
    for (let round = 0; round < 2; round += 1) {
      door.grant(REPO, authorization("ann"), 1_000, 1);
      expect(await pull(old)).toEqual(whole(old));
    }
  });

  it("what is kept for a rollback stays by its digests, though upstream deletes it and knows it no more", async () => {
    const { seed, sync, ask, upstream, door, authorization } = await mirroredSite({ onMissing });
    const old = seed("v1");
    await sync();
    seed("v1");
    await sync();
    await ask(`manifests/${old.top.digest}`, { method: "DELETE" });
    const repo = upstream.content.repo(REPO);
    for (const part of [repo.manifests, repo.blobs]) part.clear();
    for (let round = 0; round < 2; round += 1) {
      for (const path of [`manifests/${old.top.digest}`, `manifests/${old.manifest.digest}`, `blobs/${old.config.digest}`]) {
        door.grant(REPO, authorization("ann"), 1_000, 1);
        expect([path, (await ask(path)).status]).toEqual([path, 200]);
      }
    }
  });

  it("pushes and deletes that go through to upstream leave it as it is", async () => {
    const { seed, sync, pull, whole, ask, upstream, door, keyOf } = await mirroredSite({ onMissing });
    const old = seed("v1");
    await sync();
    const other = upstream.content.seed({ repo: REPO, index: false });
    const body = other.manifest.bytes;
    const headers = { "content-type": OCI_MANIFEST, "content-length": String(body.length) };
    expect((await ask("manifests/v1", { method: "PUT", headers, body })).status).toBe(201);
    expect(upstream.content.repo(REPO).tags.get("v1")).toBe(other.manifest.digest);
    expect(await pull(old)).toEqual(whole(old));
    await ask(`manifests/${old.top.digest}`, { method: "DELETE" });
    await ask("manifests/v1", { method: "DELETE" });
    expect(await pull(old)).toEqual(whole(old));
    expect((await door.facts.tagHistory(keyOf("v1"), 9)).map(({ reason }) => reason)).toEqual(["sync"]);
  });

  it("whoever looks before a push hears upstream's word, whoever pulls what is held", async () => {
    const { seed, sync, ask } = await mirroredSite({ onMissing }, { auth: OPEN });
    const old = seed("v1");
    await sync();
    const now = seed("v1");
    const head = async (headers: Record<string, string>) =>
      (await ask("manifests/v1", { method: "HEAD", user: "", headers })).headers["docker-content-digest"];
    expect(await head(ACCEPT)).toBe(old.top.digest);
    expect(await head({})).toBe(old.top.digest);
    expect(await head({ accept: OCI_MANIFEST })).toBe(old.top.digest);
    // crane and regctl ask alike for both
    expect(await head({ accept: `${OCI_MANIFEST},${OCI_INDEX}`, "user-agent": "crane/v0.22.1" })).toBe(old.top.digest);
    // containerd and BuildKit
    expect(await head({ accept: `${OCI_MANIFEST}, */*` })).toBe(now.top.digest);
    // a token for pushing, whatever else it is asked with
    const bearer = (...actions: string[]) => {
      const access = [{ type: "repository", name: "ann/app", actions }];
      return { ...ACCEPT, authorization: `Bearer e30.${Buffer.from(JSON.stringify({ access })).toString("base64url")}.sig` };
    };
    expect(await head(bearer("pull"))).toBe(old.top.digest);
    expect(await head(bearer("pull", "push"))).toBe(now.top.digest);
    // and upstream's word to a pusher moves nothing
    expect(await head(ACCEPT)).toBe(old.top.digest);
  });

  it("nobody gets it who has no right, whatever upstream is asked for", async () => {
    const { seed, sync, ask, pull } = await mirroredSite({ onMissing });
    const old = seed("v1");
    await sync();
    expect((await pull(old, "v1", "bob")).codes).toBe("403 403 403 403 403");
    const stranger = await ask("manifests/v1", { user: "" });
    expect([stranger.status, stranger.headers["www-authenticate"]]).toEqual([401, 'Basic realm="fault.example"']);
  });
});

describe("with onMissing: cache", () => {
  it("what is not covered is cached as ever, and a covered tag that nobody has synced begins with its first pull", async () => {
    const { seed, pull, whole } = await mirroredSite({ onMissing: "cache" });
    const [first, other] = [seed("v1"), seed("other")];
    expect(await pull(first)).toEqual(whole(first));
    expect(await pull(other, "other")).toEqual(whole(other));
    const [, moved] = [seed("v1"), seed("other")];
    expect(await pull(first)).toEqual(whole(first));
    expect(await pull(moved, "other")).toEqual(whole(moved));
  });

  it("names of backups are among the tags of a list that is whole", async () => {
    const { seed, sync, ask, door, keyOf } = await mirroredSite({ onMissing: "cache" });
    const old = seed("v1");
    await sync();
    await door.facts.holdTag(keyOf("v1.20261124"), { digest: parseDigest(old.top.digest), at: 1, kind: "backup" });
    const tagsOf = async (query: string) =>
      (JSON.parse((await ask(`tags/list${query}`)).body.toString()) as { tags: string[] }).tags;
    expect(await tagsOf("")).toEqual(["v1", "v1.20261124"]);
    expect(await tagsOf("?n=5")).toEqual(["v1"]);
    expect((await ask("manifests/v1.20261124", { headers: ACCEPT })).status).toBe(200);
  });
});

describe("with onMissing: refuse", () => {
  const REFUSE = { onMissing: "refuse" };

  it("what is not mirrored is refused to whoever may read it, with the way out, and nothing is fetched", async () => {
    const { seed, sync, ask, upstream } = await mirroredSite(REFUSE);
    seed("v1");
    await sync();
    const [covered, other] = [seed("v2"), seed("other")];
    for (const tag of ["v2", "other", "never"]) {
      const answer = await ask(`manifests/${tag}`, { headers: ACCEPT });
      expect([answer.status, codeOf(answer), messageOf(answer)]).toEqual([
        ...[403, "DENIED"],
        `${SITE}/${REPO}:${tag} is not in this mirror; its operator adds it under \`mirror:\` (layover mirror check)`,
      ]);
    }
    // who may read it is known by now: no question more
    upstream.clear();
    for (const path of [
      `manifests/${covered.top.digest}`,
      `manifests/${other.manifest.digest}`,
      `blobs/${other.config.digest}`,
      "manifests/never",
    ])
      expect([path, (await ask(path)).status]).toEqual([path, 403]);
    expect(upstream.count()).toBe(0);
    expect(messageOf(await ask(`blobs/${other.config.digest}`))).toMatch(/@sha256:\w+ is not in this mirror: no image of it/);
  });

  it("what was only cached is none of the mirror's, and is there again when the list has it", async () => {
    const { seed, sync, ask, list } = await mirroredSite({ rules: [{ match: `${REPO}:never`, onMissing: "refuse" }] });
    const here = await mirroredSite(REFUSE);
    const image = here.seed("v1");
    await here.sync();
    here.list.set();
    expect((await here.ask("manifests/v1")).status).toBe(403);
    here.list.set(here.entry);
    expect(await here.pull(image)).toEqual(here.whole(image));
    // a rule alone, on a site that caches
    const one = seed("v1");
    await sync();
    expect((await ask("manifests/v1")).status).toBe(200);
    seed("never");
    expect((await ask("manifests/never")).status).toBe(403);
    list.set(entryOf());
    expect((await ask("manifests/never")).status).toBe(403);
    expect((await ask(`manifests/${one.top.digest}`)).status).toBe(200);
  });

  it("a part of a mirrored image that was lost is fetched again, and nothing that no such image names", async () => {
    const { seed, sync, pull, whole, door, upstream } = await mirroredSite(REFUSE);
    const image = seed("v1");
    await sync();
    for (const { digest } of [image.top, image.manifest, image.config, ...image.layers]) {
      await door.blobs.delete(parseDigest(digest));
      upstream.clear();
      expect([digest, await pull(image)]).toEqual([digest, whole(image)]);
      expect(upstream.requests(({ path, method }) => method === "GET" && path.includes(digest))).toHaveLength(1);
    }
  });

  it("is alike to whoever has no right, whether a thing is held or not", async () => {
    const { seed, sync, ask, upstream } = await mirroredSite(REFUSE);
    const held = seed("v1");
    await sync();
    const missing = seed("v2");
    const none = `sha256:${"0".repeat(64)}`;
    // what its challenge is may be looked up once
    await ask("manifests/v1", { user: "" });
    for (const user of ["bob", ""]) {
      const seen = async (path: string, method: string) => {
        upstream.clear();
        const { status, headers, body } = await ask(path, { user, method });
        const asked = upstream.log.map((one) => `${one.method} ${one.path.replace(/(sha256:\w+|v\d|never)$/, "…")}`);
        const { date, ...rest } = headers;
        void date;
        return { status, headers: rest, body: body.toString(), asked };
      };
      for (const method of ["GET", "HEAD"]) {
        const tags = [
          await seen("manifests/v1", method),
          await seen("manifests/v2", method),
          await seen("manifests/never", method),
        ];
        expect([user, method, tags[1], tags[2]]).toEqual([user, method, tags[0], tags[0]]);
        const digests = [];
        for (const digest of [held.top.digest, held.manifest.digest, missing.top.digest, none])
          digests.push(await seen(`manifests/${digest}`, method));
        for (const one of digests) expect(one).toEqual(digests[0]);
        const blobs = [];
        for (const digest of [held.config.digest, missing.config.digest, none]) blobs.push(await seen(`blobs/${digest}`, method));
        for (const one of blobs) expect(one).toEqual(blobs[0]);
      }
    }
  });

  // each by itself: a yes would be a right to the next one
  it.each([
    ["a tag", () => "manifests/v2"],
    ["a manifest", ({ top }) => `manifests/${top.digest}`],
    ["a blob", ({ config }) => `blobs/${config.digest}`],
  ] satisfies [string, (missing: Image) => string][])(
    "gives not %s, though upstream refuses the question, and gives it",
    async (_, path) => {
      const { seed, sync, ask, upstream } = await mirroredSite(REFUSE);
      seed("v1");
      await sync();
      const missing = seed("v2");
      upstream.fault(({ method }) => method === "HEAD", status(403));
      const answer = await ask(path(missing));
      expect([answer.status, messageOf(answer)]).toEqual([403, expect.stringContaining("is not in this mirror")]);
    },
  );

  it("gives nothing while its store fails, and takes upstream in its place where all else is cached", async () => {
    for (const [onMissing, expected] of [
      ["refuse", 503],
      ["cache", 200],
    ] as const) {
      const { seed, sync, ask, door } = await mirroredSite({ onMissing });
      const held = seed("v1");
      await sync();
      const broken = () => Promise.reject(new Error("EIO: i/o error"));
      Object.assign(door.blobs, { stat: broken, read: broken, readAll: broken, stage: broken });
      const other = seed("v1");
      for (const { top, config } of [held, other])
        for (const path of [`manifests/${top.digest}`, `blobs/${config.digest}`])
          expect([onMissing, path, (await ask(path)).status]).toEqual([onMissing, path, expected]);
    }
  });

  it("an outage changes no refusal, and gives nothing away", async () => {
    const { seed, sync, pull, whole, ask, upstream } = await mirroredSite(REFUSE);
    const image = seed("v1");
    await sync();
    await pull(image);
    const missing = seed("v2");
    await upstream.stop();
    expect(await pull(image)).toEqual(whole(image));
    expect((await ask("manifests/v2")).status).toBe(403);
    expect((await ask(`manifests/${missing.top.digest}`)).status).toBe(403);
    for (const path of ["manifests/v1", "manifests/v2"]) expect((await ask(path, { user: "bob" })).status).toBe(503);
  });

  it("a platform that was left out is named, and those that are wanted come again where they were lost", async () => {
    const entry = entryOf({ tags: only("v*"), platforms: ["linux/amd64"] });
    const { sync, ask, upstream, door } = await mirroredSite(REFUSE, { entry });
    const [amd, arm] = [0, 1].map(() => upstream.content.seed({ repo: REPO }).manifest) as [Held, Held];
    const manifests = [
      { ...nameOf(amd), platform: { os: "linux", architecture: "amd64" } },
      { ...nameOf(arm), platform: { os: "linux", architecture: "arm64" } },
    ];
    const index = upstream.content.putManifest(REPO, "v1", { manifests }, INDEX);
    expect(await sync(entry)).toMatchObject({ isGood: true });
    expect((await ask("manifests/v1", { headers: ACCEPT })).body).toEqual(index.bytes);
    expect((await ask(`manifests/${amd.digest}`)).status).toBe(200);
    const refused = await ask(`manifests/${arm.digest}`);
    expect([refused.status, messageOf(refused)]).toEqual([
      403,
      `${SITE}/${REPO}@${arm.digest} is for linux/arm64: of ${SITE}/${REPO}:v1 this mirror holds linux/amd64 alone (\`platforms\` of its entry "${REPO}")`,
    ]);
    await door.blobs.delete(parseDigest(amd.digest));
    expect((await ask(`manifests/${amd.digest}`)).status).toBe(200);
  });

  it("lists the tags that are held, in pages, to whoever may read them", async () => {
    const { seed, sync, ask, door, keyOf, upstream } = await mirroredSite(REFUSE);
    for (const tag of ["v1", "v2", "v3", "other"]) seed(tag);
    await sync();
    const digest = parseDigest(upstream.content.repo(REPO).tags.get("v1")!);
    await door.facts.holdTag(keyOf("v1.bak"), { digest, at: 1, kind: "backup" });
    await door.facts.moveTag(keyOf("other"), { digest, at: 1, reason: "pull" }, 0);
    const page = async (query: string) => {
      const { body, headers } = await ask(`tags/list${query}`);
      return [(JSON.parse(body.toString()) as { tags: string[] }).tags.join(" "), headers["link"] ?? ""];
    };
    expect(await page("")).toEqual(["v1 v1.bak v2 v3", ""]);
    expect(await page("?n=2")).toEqual(["v1 v1.bak", `</v2/${REPO}/tags/list?n=2&last=v1.bak>; rel="next"`]);
    expect(await page("?n=2&last=v1.bak")).toEqual(["v2 v3", ""]);
    expect(await page("?n=0")).toEqual(["", ""]);
    expect((await ask("tags/list", { user: "bob" })).status).toBe(403);
    expect((await ask("tags/list", { user: "" })).status).toBe(401);
    await upstream.stop();
    expect(await page("")).toEqual(["v1 v1.bak v2 v3", ""]);
    expect((await ask("tags/list", { user: "bob" })).status).toBe(503);
  });

  it("lists the referrers that were synced, also after a push that upstream has taken", async () => {
    const { seed, sync, ask, upstream } = await mirroredSite(REFUSE);
    const image = seed("v1");
    const subject = { mediaType: image.top.mediaType, digest: image.top.digest, size: image.top.bytes.length };
    const signature = upstream.content.putManifest(REPO, undefined, {
      artifactType: "application/vnd.example.signature",
      config: { mediaType: "application/vnd.oci.empty.v1+json", digest: image.config.digest, size: image.config.bytes.length },
      layers: [],
      subject,
      annotations: { by: "ann" },
    });
    expect(await sync()).toMatchObject({ isGood: true });
    const referrers = async (query = "") => {
      const { status, body, headers } = await ask(`referrers/${image.top.digest}${query}`);
      const { manifests = [] } = JSON.parse(body.toString()) as { manifests?: object[] };
      return { status, manifests, filters: headers["oci-filters-applied"] };
    };
    const listed = {
      mediaType: OCI_MANIFEST,
      digest: signature.digest,
      size: signature.bytes.length,
      artifactType: "application/vnd.example.signature",
      annotations: { by: "ann" },
    };
    expect(await referrers()).toEqual({ status: 200, manifests: [listed], filters: undefined });
    expect(await referrers("?artifactType=application/x")).toEqual({ status: 200, manifests: [], filters: "artifactType" });
    const body = image.manifest.bytes;
    const headers = { "content-type": OCI_MANIFEST, "content-length": String(body.length) };
    expect((await ask("manifests/unrelated", { method: "PUT", headers, body })).status).toBe(201);
    await upstream.stop();
    expect((await referrers()).manifests).toEqual([listed]);
    expect((await ask(`manifests/${signature.digest}`)).status).toBe(200);
  });

  it("on Layover's own name, to anybody who may read it: DENIED and not 404, which says what is wrong", async () => {
    const { seed, sync, ask } = await mirroredSite(REFUSE, { auth: OPEN });
    const image = seed("v1");
    await sync();
    seed("v2");
    const by = (tag: string) => ask(`manifests/${tag}?ns=${SITE}`, { host: OWN, user: "", headers: ACCEPT });
    expect((await by("v1")).headers["docker-content-digest"]).toBe(image.top.digest);
    const refused = await by("v2");
    expect([refused.status, messageOf(refused)]).toEqual([403, expect.stringContaining("is not in this mirror")]);
    const closed = await mirroredSite(REFUSE, { auth: PRIVATE });
    closed.seed("v1");
    await closed.sync();
    const hidden = await closed.ask(`manifests/v1?ns=${SITE}`, { host: OWN, user: "" });
    expect([hidden.status, codeOf(hidden)]).toEqual([404, "NAME_UNKNOWN"]);
  });

  it("a mirrored tag that somebody holds is what it is held as, after a sync too", async () => {
    const { seed, sync, pull, whole, door, keyOf } = await mirroredSite(REFUSE);
    const old = seed("v1");
    await sync();
    const now = seed("v1");
    await sync();
    expect(await pull(now)).toEqual(whole(now));
    await door.facts.holdTag(keyOf("v1"), { digest: parseDigest(old.top.digest), at: Date.now(), kind: "rollback" });
    expect(await pull(old)).toEqual(whole(old));
    await sync();
    expect(await pull(old)).toEqual(whole(old));
    await door.facts.releaseTag(keyOf("v1"));
    expect(await pull(old)).toEqual(whole(old));
    await sync();
    expect(await pull(now)).toEqual(whole(now));
  });

  it("explains what it does", async () => {
    const { seed, sync, door, authorization } = await mirroredSite(REFUSE);
    seed("v1");
    await sync();
    door.grant(REPO, undefined, 0, 60_000);
    const told = async (tag: string) => door.site.care.explain(REPO as Repository, tag as never);
    expect(await told("v1")).toMatchObject({
      mirroredBy: REPO,
      policy: { onMissing: "refuse" },
      now: { outcome: "served", why: "it is mirrored: it moves by a sync alone; anybody may read it" },
    });
    expect(await told("v2")).toMatchObject({ mirroredBy: REPO, now: { outcome: "refused" } });
    const now = seed("v1");
    const options = { signal: AbortSignal.timeout(5_000), credential: authorization("ann") };
    const refreshed = await door.site.care.refresh(REPO as Repository, "v1" as never, options);
    expect(refreshed).toMatchObject({ upstream: now.top.digest, pinned: true });
    expect(refreshed.after).toBe(refreshed.before);
    expect((await told("v2")).now.why).toContain("is not in this mirror");
  });
});

interface Held {
  readonly digest: string;
  readonly bytes: Buffer;
  readonly mediaType: string;
}
const INDEX = "application/vnd.oci.image.index.v1+json";
const nameOf = ({ mediaType, digest, bytes }: Held) => ({ mediaType, digest, size: bytes.length });
