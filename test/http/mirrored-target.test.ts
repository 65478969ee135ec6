// Tags of a hosted site that a sync writes, over real sockets: nobody else moves them or takes them away, from before the first sync on.
import { expect, it } from "vitest";
import { parseDigest } from "../../src/oci/digest.ts";
import { ownContext } from "../../src/oci/own-context.ts";
import type { Repository, Tag } from "../../src/oci/reference.ts";
import { OCI_MANIFEST } from "../faults/content.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { keeping } from "../store/keeping.ts";
import { entryOf, List, only } from "./mirrored-site.ts";
import { SITE, siteDoor } from "./site-door.ts";

const HOSTED = "images.test";
const REPO = "base/app" as Repository;

it("of a mirror's target are refused to whoever pushes or deletes, and are the sync's to move", async () => {
  const entry = entryOf({
    name: "base",
    tags: only("v*"),
    target: { site: HOSTED, repo: REPO },
    source: { site: SITE, repo: "ann/app" },
  });
  const list = new List([entry]);
  const hosted = { [HOSTED]: { kind: "local", access: "anonymous" } };
  const { doors, siteOf, ask } = await siteDoor(await faultUpstream(), {}, hosted, { ...(await keeping()), mirrored: list });
  const send = async (method: string, reference: string, nth = 0, query = "") => {
    const body = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, nth, layers: [] }));
    const headers = { "content-type": OCI_MANIFEST, "content-length": String(method === "PUT" ? body.length : 0) };
    const sent = method === "PUT" ? { body } : {};
    const answer = await ask(`/v2/${REPO}/manifests/${reference}${query}`, { method, host: HOSTED, headers, ...sent });
    return { ...answer, digest: String(answer.headers["docker-content-digest"]) };
  };
  const refused = await send("PUT", "v1");
  expect([refused.status, refused.body.toString()]).toEqual([
    403,
    expect.stringContaining(`${REPO}:v1 is moved by the mirror alone, by its entry \\"base\\"`),
  ]);
  const [one, two] = [await send("PUT", "dev", 1), await send("PUT", "dev", 2)];
  expect([one.status, two.status]).toEqual([201, 201]);
  const target = doors.targetOf(siteOf(HOSTED));
  const ctx = ownContext("test", new AbortController().signal);
  const move = (from: string | undefined, to: string) =>
    target.moveTag(REPO, "v1" as Tag, from === undefined ? undefined : parseDigest(from), { digest: parseDigest(to) }, ctx);
  expect(await move(undefined, one.digest)).toBe(true);
  for (const [method, reference, query] of [
    ["PUT", "v1", ""],
    ["PUT", "other", "?tag=v1"],
    ["DELETE", "v1", ""],
    ["DELETE", one.digest, ""],
  ] as const)
    expect([method, reference, (await send(method, reference, 3, query)).status]).toEqual([method, reference, 403]);
  expect((await send("HEAD", "v1")).digest).toBe(one.digest);
  expect(await move(one.digest, two.digest)).toBe(true);
  expect((await send("HEAD", "v1")).digest).toBe(two.digest);
  // what the list has no more is anybody's
  list.set();
  expect((await send("PUT", "v1", 4)).status).toBe(201);
});
