// A process that syncs one repository into a data folder, for tests to kill: `syncer.ts <folder> <origin of the registry>`.
// One line for each thing that is true by then.
import { writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import { loadConfig } from "../../src/config/load.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silent } from "../../src/lib/log.ts";
import { mirrorEngine } from "../../src/mirror/engine.ts";
import { flights } from "../../src/registry/flights.ts";
import { policyOf } from "../../src/registry/policy.ts";
import { sharedRights } from "../../src/registry/rights.ts";
import { siteRegistry } from "../../src/registry/site.ts";
import { openKept } from "../../src/store/kept.ts";
import { asClient } from "../../src/upstream/asker.ts";
import { Breaker } from "../../src/upstream/breaker.ts";
import { upstreamRegistry } from "../../src/upstream/client.ts";
import { Limits } from "../../src/upstream/limits.ts";
import { plainNames } from "../../src/upstream/plain-names.ts";
import { UpstreamResolver } from "../../src/upstream/resolver.ts";
import { Transport } from "../../src/upstream/transport.ts";
import { entryOf, REPO, SITE } from "./entry.ts";

const [folder = "", origin = ""] = process.argv.slice(2);
const say = (line: string): void => void writeSync(1, `${line}\n`);

const file = join(folder, "layover.json");
writeFileSync(file, JSON.stringify({ sites: { [SITE]: { upstream: origin, access: "shared" } } }));
const config = await loadConfig({ file, env: {}, cwd: folder });
const site = config.sites.find(({ host }) => host === SITE)!;
const clock = systemClock;
const room = async () => ({ free: 2 ** 40, total: 2 ** 40 });
const kept = await openKept({
  ...{ folder: join(folder, "data"), maxSize: undefined, maxAge: undefined, isPinned: () => false, clock, log: silent, room },
});
const transport = new Transport({
  resolver: new UpstreamResolver({ names: plainNames(["127.0.0.1:1"]), isOurs: () => false }),
  secureContext: createSecureContext(),
  via: "1.1 layover-test",
  userAgent: "layover/test",
});
const now = () => performance.now();
const breaker = new Breaker({ site: SITE, name: origin, look: () => Promise.resolve(false), log: silent, now, clock });
const upstream = upstreamRegistry({
  upstreams: [{ url: new URL(origin), breaker, limits: new Limits({ name: origin, now }) }],
  ...{ transport, asker: asClient, clock, payer: () => "ourselves" },
});
const flying = flights(kept.blobs, silent);
const cache = siteRegistry({
  ...{ site, policy: policyOf(site), upstream, blobs: kept.blobs, facts: kept.facts, flights: flying, rights: sharedRights },
  publicity: { find: () => undefined },
  health: { up: true, answersPings: true, late: () => undefined },
  realmAnswers: () => Promise.resolve(true),
  tellsTokens: () => Promise.resolve(false),
  ...{ clock, log: silent },
});
const engine = mirrorEngine({
  sourceOf: () => ({ upstream, cache }),
  targetOf: () => {
    throw new Error("there is no other target");
  },
  ...{ blobs: kept.blobs, facts: kept.facts, flights: flying, clock, log: silent },
  events: {
    changed: ({ source, upstream: digest }) => say(`moved ${source.tag} ${digest}`),
    failed: ({ source, failure }) => say(`failed ${source.tag} ${failure?.message}`),
    ended: ({ isGood }) => say(`ended ${isGood}`),
  },
  isPinned: () => false,
  hook: () => Promise.resolve({ ok: true, output: "" }),
});
say("open");
let step = "";
await engine.sync(entryOf({ parallel: 1 }), {
  signal: new AbortController().signal,
  progress: ({ images }) => {
    const at = images.map((image) => `${image.name.split(":").at(-1)} ${image.step}`).join();
    if (at !== step && at !== "") say(`at ${at}`);
    step = at;
  },
});
say(`repository ${REPO} is done`);
await flying.close();
breaker.close();
await transport.close();
await kept.close();
