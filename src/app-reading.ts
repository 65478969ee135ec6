// What is read of a site put together: its cache over its upstream, once for each of those as whom upstream is asked.
import type { OpenUpstream } from "./app-upstream.ts";
import type { MirrorSource } from "./mirror/engine.ts";
import type { Credential, Registry } from "./oci/registry.ts";
import type { Challenges } from "./registry/challenges.ts";
import { forAnybody } from "./registry/for-anybody.ts";
import type { Grants } from "./registry/grants.ts";
import { heed } from "./registry/heed.ts";
import { openly } from "./registry/openly.ts";
import { ownRights } from "./registry/own-rights.ts";
import { publicity } from "./registry/publicity.ts";
import { clientRights, type Rights, sharedRights } from "./registry/rights.ts";
import { type SiteParts, type SiteRegistry, siteRegistry } from "./registry/site.ts";
import type { Subjects } from "./registry/subjects.ts";
import type { Site } from "./sites.ts";
import { loginOf } from "./upstream/asker.ts";

export interface ReadingParts extends Pick<SiteParts, "policy" | "blobs" | "facts" | "flights" | "clock" | "log"> {
  readonly grants: Grants;
  readonly subjects: Subjects;
  readonly challenges: Challenges;
  /** Whether Layover answers for the name. */
  readonly isHijacked: (host: string) => boolean;
}

export interface Reading {
  readonly rights: Rights;
  /** For clients, each by its own right. */
  readonly registry: Registry;
  /** For clients of Layover's own name, who are anybody. */
  readonly mirror: Registry;
  /** For who looks after the site: as whom a credential says, else as anybody, or as Layover where access is shared. */
  readonly registryFor: (credential: Credential | undefined) => SiteRegistry;
  readonly source: MirrorSource;
  close(): void;
}

export const openReading = (site: Site, upstream: OpenUpstream, parts: ReadingParts): Reading => {
  const { subjects, challenges, clock, log } = parts;
  const { health, realmAnswers, anonymous, forSync } = upstream;
  const isShared = site.access === "shared";
  const rights = isShared ? sharedRights : clientRights(site, parts.grants, subjects, clock);
  const finder = publicity(anonymous, rights, site.publicFor, log);
  const tellsTokens = async () => {
    const realm = (await challenges.of(site.host))?.realm;
    return site.tokenKeys !== undefined || (realm !== undefined && parts.isHijacked(realm.hostname));
  };
  const cacheOver = (asked: Registry, by = rights, isForSync = false) =>
    siteRegistry({
      ...parts,
      site,
      upstream: asked,
      rights: by,
      publicity: finder,
      health,
      realmAnswers,
      tellsTokens,
      isForSync,
    });
  const asClient = heed(upstream.registry, { site: site.host, subjects, challenges });
  const registry = cacheOver(isShared ? upstream.registry : openly({ asClient, anonymous, rights, health }));
  // with a token of anybody's, unlike a client's first question without one: what is refused to it is public no more
  const byAnybody = { ...rights, refused: (repo: Parameters<Rights["hidden"]>[0]) => rights.hidden(repo) };
  const asAnybody = cacheOver(anonymous, byAnybody);
  const forSyncRights = isShared ? rights : forSync.isOwn ? ownRights(site, clock) : byAnybody;
  return {
    rights,
    registry,
    mirror: forAnybody(isShared ? registry : asAnybody, site.host),
    registryFor(credential) {
      if (isShared) return registry;
      if (credential === undefined) return asAnybody;
      const login = loginOf(credential);
      // any other credential is upstream's to judge as it stands
      return login === undefined ? registry : cacheOver(upstream.withLogin(login, credential));
    },
    source: {
      upstream: forSync.registry,
      cache: cacheOver(forSync.registry, forSyncRights, true),
      listRepositories: forSync.listRepositories,
    },
    close: () => finder.close(),
  };
};
