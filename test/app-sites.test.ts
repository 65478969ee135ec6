// A site's care over real sockets: as whom upstream is asked, and that tokens are fetched where it takes them.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { openSites } from "../src/app-sites.ts";
import { loadConfig } from "../src/config/load.ts";
import { systemClock } from "../src/lib/clock.ts";
import { silent } from "../src/lib/log.ts";
import { parseRepository, type Tag } from "../src/oci/reference.ts";
import { flights } from "../src/registry/flights.ts";
import { grants } from "../src/registry/grants.ts";
import { siteTable } from "../src/sites.ts";
import { memoryBlobs } from "../src/store/memory.ts";
import { memoryFacts } from "../src/store/memory-facts.ts";
import { faultUpstream } from "./faults/upstream.ts";

const world = async (site: object = {}) => {
  const owners: Record<string, string> = { "ann/app": "ann" };
  const upstream = await faultUpstream({ auth: { kind: "bearer", users: { ann: "pw" }, owners } });
  for (const repo of ["open/app", "ann/app"]) upstream.content.seed({ repo, tag: "v1", layers: [1_000, 2_000] });
  const cwd = mkdtempSync(join(tmpdir(), "layover-sites-"));
  const config = await loadConfig({
    env: {
      LAYOVER_SITES: JSON.stringify({ "registry.test": { upstream: upstream.url.origin, ...site } }),
      LAYOVER_RESOLVERS: "127.0.0.1:9",
    },
    cwd,
  });
  const [blobs, facts] = [memoryBlobs(), memoryFacts()];
  const flying = flights(blobs, silent);
  const granted = grants(facts, silent, { clock: systemClock, keepFor: 1_000 });
  const sites = openSites(config, {
    blobs,
    disk: blobs,
    facts,
    grants: granted,
    flights: flying,
    subjectKey: Buffer.alloc(32, 7),
    clock: systemClock,
    log: silent,
    via: "1.1 layover-test",
    version: "test",
  });
  onTestFinished(async () => {
    await flying.close();
    await sites.close();
    await granted.close();
    rmSync(cwd, { recursive: true, force: true });
  });
  const { care } = sites.of(siteTable(config.sites).byHost("registry.test")!);
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
