// The front end put together: TLS, HTTP, cache. The app files are the only ones that know concrete classes.
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import manifest from "../package.json" with { type: "json" };
import { Bypass } from "./admin/bypass.ts";
import { type Condition, condition } from "./admin/health.ts";
import { isProbe, ownPage, sendPage } from "./admin/pages.ts";
import { openAdmin } from "./app-admin.ts";
import { caOptions } from "./app-ca.ts";
import { openMirror } from "./app-mirror.ts";
import { originOf, setupKit } from "./app-setup.ts";
import { openSites } from "./app-sites.ts";
import { collecting } from "./app-store.ts";
import { openTunnels, passOn } from "./app-tunnels.ts";
import type { Config } from "./config/config.ts";
import { Crowd } from "./http/crowd.ts";
import { dispatcher } from "./http/dispatch.ts";
import { openDoors } from "./http/doors.ts";
import type { Exchange } from "./http/exchange.ts";
import { connecting, toOrigin } from "./http/proxy.ts";
import { namedAnswers } from "./lib/answers.ts";
import { systemClock } from "./lib/clock.ts";
import { formatAddress } from "./lib/listen.ts";
import type { Logger } from "./lib/log.ts";
import { parsePrefixes } from "./lib/prefixes.ts";
import { installationSecret } from "./lib/secret.ts";
import { LiveMirrors } from "./mirrors/live.ts";
import { flights } from "./registry/flights.ts";
import { grants } from "./registry/grants.ts";
import { pinnedBy } from "./registry/policy.ts";
import { siteTable } from "./sites.ts";
import { openKept } from "./store/kept.ts";
import { tend } from "./store/tend.ts";
import { openCa } from "./tls/ca.ts";
import { followCa } from "./tls/follow.ts";
import { secureContexts } from "./tls/sni.ts";

const VERSION = manifest.version;

export interface FrontEnd {
  /** For people. */
  readonly identity: {
    readonly names: readonly string[];
    readonly fingerprints: readonly string[];
    readonly addresses: readonly string[];
    /** Where the admin listener is. */
    readonly admin: string | undefined;
  };
  /** As it was at the last look. */
  isBypassed(): boolean;
  /** PEM of the public certificates. */
  readonly ca: string;
  condition(): Promise<Condition>;
  /** When it was asked for something last, probes aside; by the monotonic clock, -Infinity for never. */
  lastAsked(): number;
  /** It goes on, but says that it does not: names are to lead elsewhere, and clients to make no further use of their connections. */
  depart(): void;
  /** No new requests; what is under way may take until `cut` fires. */
  close(cut: AbortSignal): Promise<void>;
}

/** Throws SetupError, CaError, or what the stores say: all of it for the user. */
export const frontEnd = async (config: Config, log: Logger): Promise<FrontEnd> => {
  const clock = systemClock;
  const sites = siteTable(config.sites, config);
  const names = config.sites.flatMap((site) => site.hijackNames);
  const ofCa = caOptions(config);
  const ca = followCa(await openCa(ofCa), ofCa, log);
  if (ca.origin !== "found")
    log.warn({ origin: ca.origin, file: ofCa.certificateFile }, "the CA certificate is new: clients need it before they pull");
  const { data: folder, maxSize, maxAge } = config;
  const kept = await openKept({ folder, maxSize, maxAge, isPinned: pinnedBy(sites), clock, log });
  const { blobs, facts } = kept;
  const tending = tend(kept, collecting(sites), log);
  const subjectKey = await installationSecret(join(config.data, "subject.key"));
  const granted = grants(facts, log, { clock, keepFor: collecting(sites).grantsFor });
  const flying = flights(blobs, log);
  const viaToken = `layover-${randomBytes(6).toString("hex")}`;
  const shared = { blobs, facts, flights: flying, clock, log, via: `1.1 ${viaToken}`, version: VERSION };
  const live = new LiveMirrors(config.mirror.entries);
  const doors = openSites(config, { ...shared, disk: kept.disk, grants: granted, subjectKey, mirrored: live });
  const mirror = openMirror(config, { ...shared, sites, doors, live });
  const passing = openTunnels(config, log);
  let draining = false;
  let lastAsked = Number.NEGATIVE_INFINITY;
  const bypass = await Bypass.open({ data: folder, clock, log });
  const now = (mirrorNotes: () => readonly string[]) =>
    condition({
      ...{ blobs, facts },
      isFull: () => kept.disk.room.isFull,
      isDraining: () => draining,
      bypass: () => bypass.look(),
      canSign: ca.canSign,
      more: () => [...ca.notes(), ...mirrorNotes()],
    });
  // what is mirrored is for those who look after it
  const toAll = () => now(mirror.hints);

  const setupPages = setupKit(config, ca);
  const ownPages = async (exchange: Exchange): Promise<void> => {
    const { res, method, path, note } = exchange;
    note.site = "-";
    note.verdict = "OWN";
    note.isProbe = isProbe(path);
    const { bundle: caBundle, fingerprints } = ca;
    const setup = () => setupPages(exchange);
    const parts = { condition: toAll, caBundle, fingerprints, names, own: config.names, setup };
    sendPage(res, await ownPage(parts, method, path, originOf(exchange)));
  };
  const answering = dispatcher({
    sites,
    doorOf: (site, response) => doors.of(site, response),
    isOwnName: (host) => config.names.includes(host) || host === "localhost",
    ownPages,
    viaToken,
    log,
  });
  const dispatch = (exchange: Exchange): Promise<void> => {
    if (!isProbe(exchange.path)) lastAsked = performance.now();
    if (draining) exchange.res.shouldKeepAlive = false;
    return answering(exchange);
  };
  const secure = secureContexts(ca, {
    allowed: (name) => sites.byHost(name) !== undefined || config.names.includes(name),
    isOfMany: (name) => sites.byHost(name)?.wildcard !== undefined,
    ownName: config.names[0]!,
    ownAddresses: namedAnswers(config),
    clock,
    log,
  });
  const clients = parsePrefixes(config.clients);
  const crowd = new Crowd(log);
  const before = passOn(config, passing);
  const at = config.listen.admin;
  const admin =
    at &&
    (await openAdmin(at, {
      config,
      sites,
      careOf: (site) => doors.of(site).care,
      kept,
      flights: flying,
      doors,
      version: VERSION,
      condition: () => now(mirror.notes),
      bypass,
      mirror,
      mirrored: live,
      log,
    }));
  const { listen } = config;
  // by a bypass a site's name leads to its registry, here as in DNS
  const isSpokenFor = (name: string) =>
    config.names.includes(name) || (bypass.standing === undefined && sites.byHost(name) !== undefined);
  const proxy = { connect: connecting({ tunnels: passing, isOurs: isSpokenFor, log }), secure, toOrigin };
  const opened = await Promise.all([
    openDoors("https", listen.https, { dispatch, clients, crowd, secure, before }, log),
    openDoors("http", listen.http, { dispatch, clients, crowd }, log),
    openDoors("proxy", listen.proxy, { dispatch, clients, crowd, proxy }, log),
  ]);
  const adminDoors = admin && (await openDoors("admin", [at!], { dispatch: admin.api.handle, clients: admin.clients }, log));

  return {
    identity: {
      names: [...names, ...config.wildcards.map(({ host }) => host)],
      fingerprints: ca.fingerprints,
      addresses: opened.flatMap(({ addresses }) => addresses.map(formatAddress)),
      admin: adminDoors && formatAddress(adminDoors.addresses[0]!),
    },
    ca: ca.bundle,
    isBypassed: () => bypass.standing !== undefined,
    condition: toAll,
    lastAsked: () => lastAsked,
    depart: () => {
      draining = true;
    },
    async close(cut) {
      draining = true;
      admin?.api.close();
      ca.close();
      const mirrorClosed = mirror.close();
      const doorsToDrain = adminDoors === undefined ? opened : [...opened, adminDoors];
      await Promise.all(doorsToDrain.map((door) => door.drain(cut)));
      passing.close();
      await mirrorClosed;
      await flying.close();
      await doors.close();
      await granted.close();
      await tending.close();
      await kept.close();
    },
  };
};
