// The admin listener put together: its token, its guard, and what it can be asked, over the parts of the running front end.
import { chmod, stat } from "node:fs/promises";
import { hostname } from "node:os";
import type { RoomEntry, SweepEntry, WorkEntry } from "./admin/answers.ts";
import { type Api, adminApi } from "./admin/api.ts";
import { type BypassSwitch, bypassOperations } from "./admin/bypass-operations.ts";
import { contentOf } from "./admin/content.ts";
import type { Condition } from "./admin/health.ts";
import type { Operations } from "./admin/operations.ts";
import { type SiteParts, siteOperations } from "./admin/site-operations.ts";
import { adminTokenIn } from "./admin/token-file.ts";
import { UnderWay } from "./admin/under-way.ts";
import type { SiteDoors } from "./app-sites.ts";
import { type StoreParts, storeOperations } from "./app-store.ts";
import type { Config } from "./config/config.ts";
import { plainHost } from "./lib/host-name.ts";
import type { Address } from "./lib/listen.ts";
import { formatAddress } from "./lib/listen.ts";
import type { Logger } from "./lib/log.ts";
import { parsePrefixes } from "./lib/prefixes.ts";
import { installationToken } from "./lib/secret.ts";
import type { MirrorFigures } from "./mirror/figures.ts";
import type { Flights } from "./registry/flights.ts";
import type { Site } from "./sites.ts";
import type { KeptState } from "./store/kept.ts";
import type { SweepReport } from "./store/sweep.ts";

export interface AdminParts extends StoreParts, SiteParts {
  readonly config: Config;
  readonly version: string;
  readonly condition: () => Promise<Condition>;
  readonly bypass: BypassSwitch;
  readonly mirror: {
    readonly operations: Pick<Operations, "mirrorCheck" | "mirrorSync" | "mirrorStatus">;
    /** Its syncs, whoever they are for. */
    work(): readonly WorkEntry[];
    figures(): MirrorFigures;
  };
  readonly flights: Flights;
  readonly doors: Pick<SiteDoors, "opened">;
  readonly log: Logger;
}

export interface AdminEnd {
  readonly api: Api;
  /** Whether an address may connect: this machine's own loopback, and otherwise who may use the doors. */
  readonly clients: (address: string) => boolean;
}

/** What the listener at `address` needs. The token is made when there is none; what it says is nobody's but its file's. */
export const openAdmin = async (address: Address, parts: AdminParts): Promise<AdminEnd> => {
  const { config, log, version } = parts;
  const file = adminTokenIn(config.data);
  const token = await installationToken(file);
  if (((await stat(file)).mode & 0o077) !== 0) {
    await chmod(file, 0o600);
    log.warn(
      { file },
      "others could read the admin token: the file is closed to them now; remove it and start again for a new token",
    );
  }
  const isLoopback = parsePrefixes(["127.0.0.0/8", "::1"]);
  if (!isLoopback(address.host))
    log.warn(
      { address: formatAddress(address) },
      "the admin listener can be reached from other machines, with its token, unencrypted",
    );
  const isClient = parsePrefixes(config.clients);
  const underWay = new UnderWay();
  return {
    api: adminApi({
      operations: serverOperations(parts, underWay),
      content: contentOf(parts.kept.blobs),
      underWay,
      metrics: (accept) => metricsText(parts, accept),
      guard: { token, names: [...config.names, plainHost(hostname())] },
      version,
      log,
    }),
    clients: (client) => isLoopback(client) || isClient(client),
  };
};

/** What writes it is loaded when somebody asks. */
const metricsText = async (parts: AdminParts, accept: string | undefined) => {
  const { version, condition, flights, kept, doors, mirror } = parts;
  const [{ exposition }, { serverFamilies }, { mirrorFamilies }] = await Promise.all([
    import("./admin/exposition.ts"),
    import("./admin/metrics.ts"),
    import("./admin/mirror-metrics.ts"),
  ]);
  const opened = doors.opened();
  const families = serverFamilies({
    version,
    startedAt: performance.timeOrigin,
    condition: await condition(),
    room: roomOf(await kept.state(), kept.disk.room.isFull),
    flights: { underWay: flights.underWay().length, counts: flights.counts() },
    sites: opened.filter(isConfigured).map(({ site, standing }) => ({ site: site.host, upstreams: standing() })),
    below: Object.fromEntries(
      parts.config.wildcards.map(({ host }) => [host, opened.filter(({ site }) => site.wildcard === host).length]),
    ),
    heldTags: await kept.facts.inventory.heldTags(),
  });
  return exposition([...families, ...mirrorFamilies(mirror.figures())], accept);
};

/** Hosts that a wildcard stands for are made up by whoever asks. */
const isConfigured = ({ site }: { readonly site: Site }): boolean => site.wildcard === undefined;

const serverOperations = (parts: AdminParts, underWay: UnderWay): Operations => {
  const { config, version, condition, flights } = parts;
  const startedAt = new Date();
  return {
    ...storeOperations(parts),
    ...siteOperations(parts),
    ...bypassOperations([...config.sites, ...config.wildcards], parts.bypass),
    ...parts.mirror.operations,
    async status() {
      const { ready, bypass, notes } = await condition();
      return {
        version,
        startedAt: startedAt.toISOString(),
        uptimeMs: Date.now() - startedAt.getTime(),
        data: config.data,
        ready,
        ...(bypass && { bypass }),
        notes,
        work: [...underWay.standing, ...parts.mirror.work()],
        room: roomOf(await parts.kept.state(), parts.kept.disk.room.isFull),
        flights: { underWay: flights.underWay(), counts: flights.counts() },
        sites: parts.doors
          .opened()
          .map(({ site, standing }) => ({ site: site.host, offline: site.offline, upstreams: standing() })),
      };
    },
  };
};

const roomOf = (
  { count, held, growing, maxSize, maxAge, free, total, left, lastSweep }: KeptState,
  full: boolean,
): RoomEntry => ({
  blobs: count,
  ...{ held, growing, free, total, left, full },
  ...(lastSweep !== undefined && { lastSweep: sweepOf(lastSweep) }),
  ...(maxSize !== undefined && { maxSize }),
  ...(maxAge !== undefined && { maxAgeMs: maxAge }),
});

const sweepOf = ({ at, wanted, freed, count, kept }: SweepReport): SweepEntry => ({
  at: new Date(at).toISOString(),
  ...(wanted !== undefined && { wanted }),
  ...{ freed, blobs: count, kept },
});
