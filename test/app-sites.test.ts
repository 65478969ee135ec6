// A site's care over real sockets: as whom upstream is asked, and that tokens are fetched where it takes them.
import { describe, expect, it } from "vitest";
import { parseRepository, type Tag } from "../src/oci/reference.ts";
import { faultUpstream } from "./faults/upstream.ts";
import { siteDoor } from "./http/site-door.ts";

const world = async (settings: object = {}) => {
  const owners: Record<string, string> = { "ann/app": "ann" };
  const upstream = await faultUpstream({ auth: { kind: "bearer", users: { ann: "pw" }, owners } });
  for (const repo of ["open/app", "ann/app"]) upstream.content.seed({ repo, tag: "v1", layers: [1_000, 2_000] });
  const { care } = (await siteDoor(upstream, settings)).site;
  const options = { signal: new AbortController().signal, progress: () => undefined };
  const warm = (repo: string, credential?: string) =>
    care.warm(parseRepository(repo), "v1" as Tag, { ...options, ...(credential !== undefined && { credential }) });
  return { upstream, owners, care, warm, options };
};

const login = (password: string) => `Basic ${Buffer.from(`ann:${password}`).toString("base64")}`;

describe("a site's care", () => {
  it("warms what is public as anybody, with anonymous tokens, and nothing else", async () => {
    const { warm, upstream } = await world();
    expect(await warm("open/app")).toMatchObject({ manifests: 1, blobs: 3, failures: [] });
    expect((await warm("ann/app")).failures).toEqual([expect.objectContaining({ reference: "v1", code: "UNAUTHORIZED" })]);
    upstream.clear();
    expect(await warm("open/app")).toMatchObject({ fetched: 0, failures: [] });
    expect(upstream.log).toEqual([]);
  });

  it("finds out by asking as anybody that a repository is public no more", async () => {
    const { warm, care, options, owners, upstream } = await world();
    const explained = () => care.explain(parseRepository("open/app"), "v1" as Tag);
    await warm("open/app");
    expect(await explained()).toMatchObject({ anonymous: "live" });
    owners["open/app"] = "ann";
    upstream.gate.revokeTokens();
    await expect(care.refresh(parseRepository("open/app"), "v1" as Tag, options)).rejects.toMatchObject({ code: "UNAUTHORIZED" });
    expect(await explained()).toMatchObject({ anonymous: "none" });
  });

  it("warms what is private by a login, which it exchanges, and a wrong one is refused", async () => {
    const { warm } = await world();
    expect((await warm("ann/app", login("no"))).failures).toHaveLength(1);
    expect(await warm("ann/app", login("pw"))).toMatchObject({ manifests: 1, blobs: 3, failures: [] });
  });

  it("asks as Layover where access is shared", async () => {
    const { warm, care, options } = await world({ access: "shared", credentials: { username: "ann", password: "pw" } });
    expect(await warm("ann/app")).toMatchObject({ manifests: 1, blobs: 3, failures: [] });
    const { before, after } = await care.refresh(parseRepository("ann/app"), "v1" as Tag, options);
    expect(after).toBe(before);
    expect((await care.explain(parseRepository("ann/app"), "v1" as Tag)).now.outcome).toBe("served");
  });

  it("asks nobody where the site is offline", async () => {
    const { warm, care, upstream, options } = await world({ offline: true });
    expect((await warm("open/app")).failures).toEqual([expect.objectContaining({ code: "MANIFEST_UNKNOWN" })]);
    await expect(care.refresh(parseRepository("open/app"), "v1" as Tag, options)).rejects.toMatchObject({
      code: "MANIFEST_UNKNOWN",
    });
    expect(await care.explain(parseRepository("open/app"), "v1" as Tag)).toMatchObject({
      upstream: "offline",
      now: { outcome: "unreachable" },
    });
    expect(upstream.log).toEqual([]);
  });
});
