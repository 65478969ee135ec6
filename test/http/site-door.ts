// A site as the app puts it together, behind a door without TLS and over a fault upstream: what it keeps is in memory, and its grants are the test's to set.
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { openSites } from "../../src/app-sites.ts";
import { loadConfig } from "../../src/config/load.ts";
import { dispatcher } from "../../src/http/dispatch.ts";
import { openDoor } from "../../src/http/server.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silent } from "../../src/lib/log.ts";
import type { Mirrored } from "../../src/mirrors.ts";
import { parseRepository } from "../../src/oci/reference.ts";
import { flights } from "../../src/registry/flights.ts";
import { grants } from "../../src/registry/grants.ts";
import { subjectOf } from "../../src/registry/subject.ts";
import { siteTable } from "../../src/sites.ts";
import type { BlobStore } from "../../src/store/blobs.ts";
import type { FactStore } from "../../src/store/facts.ts";
import { memoryBlobs } from "../../src/store/memory.ts";
import { memoryFacts } from "../../src/store/memory-facts.ts";
import type { FaultUpstream } from "../faults/upstream.ts";
import { type Answer, type Ask, readAnswer } from "../front.ts";

export const SITE = "registry.test";
/** Layover's own name. */
export const OWN = "layover.test";
const KEY = Buffer.alloc(32, 7);

interface DoorParts {
  readonly blobs?: BlobStore;
  readonly facts?: FactStore;
  readonly mirrored?: Mirrored;
}

/** `others` are further sites by name; the stores in `parts` are its caller's to close. */
export const siteDoor = async (upstream: FaultUpstream, settings: object = {}, others: object = {}, parts: DoorParts = {}) => {
  const cwd = mkdtempSync(join(tmpdir(), "layover-site-"));
  const sites = JSON.stringify({ [SITE]: { upstream: upstream.url.origin, ...settings }, ...others });
  const config = await loadConfig({ env: { LAYOVER_SITES: sites, LAYOVER_RESOLVERS: "127.0.0.1:9" }, cwd });
  const { blobs = memoryBlobs(), facts = memoryFacts(), mirrored } = parts;
  const clock = systemClock;
  const flying = flights(blobs, silent);
  const granted = grants(facts, silent, { clock, keepFor: 1_000 });
  const kept = { blobs, disk: blobs, facts, grants: granted, flights: flying };
  const opened = openSites(config, {
    ...kept,
    subjectKey: KEY,
    clock,
    log: silent,
    via: "1.1 layover-test",
    version: "test",
    mirrored,
  });
  const table = siteTable(config.sites);
  const door = await openDoor({
    door: "https",
    address: { host: "127.0.0.1", port: 0 },
    dispatch: dispatcher({
      sites: table,
      doorOf: (site) => opened.of(site),
      isOwnName: (host) => host === OWN,
      ownPages: async ({ res }) => void res.end(),
      viaToken: "layover-test",
      log: silent,
    }),
    clients: () => true,
  });
  const agent = new Agent({ keepAlive: true });
  onTestFinished(async () => {
    agent.destroy();
    await door.drain(AbortSignal.timeout(0));
    await flying.close();
    await opened.close();
    await granted.close();
    rmSync(cwd, { recursive: true, force: true });
  });
  const keyOf = (repo: string, credential: string | undefined) => ({
    site: SITE,
    repo: parseRepository(repo),
    subject: subjectOf(credential, KEY),
  });
  return {
    ...kept,
    site: opened.of(table.byHost(SITE)!),
    doors: opened,
    siteOf: (host: string) => table.byHost(host)!,
    ask: (path: string, ask: Ask = {}) => send(agent, door.address.port, path, ask),
    /** Upstream has said yes to it so many ms ago, which was good for `lifetime` ms; without a credential: to anybody. */
    grant: (repo: string, credential: string | undefined, ago: number, lifetime: number) => {
      const grantedAt = clock() - ago;
      granted.put({ ...keyOf(repo, credential), grantedAt, expiresAt: grantedAt + lifetime });
    },
    forget: (repo: string, credential: string | undefined) => granted.end(keyOf(repo, credential)),
  };
};

const send = (
  agent: Agent,
  port: number,
  path: string,
  { method = "GET", headers = {}, body, host = SITE }: Ask,
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const sent = request({ agent, host: "127.0.0.1", port, path, method, headers: { host, ...headers } }, (answer) =>
      resolve(readAnswer(answer)),
    );
    sent.on("error", reject);
    sent.end(body);
  });
