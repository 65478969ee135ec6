// Whom the credentials of a site's clients stand for, put together: keys for its tokens where there are any, tokens seen to be given.
import { join } from "node:path";
import type { OpenUpstream } from "./app-upstream.ts";
import type { Clock } from "./lib/clock.ts";
import type { Logger } from "./lib/log.ts";
import { parsePublicKeys } from "./lib/public-keys.ts";
import { ownContext } from "./oci/own-context.ts";
import { askingFor, type Challenges } from "./registry/challenges.ts";
import type { Exchanges } from "./registry/exchanged.ts";
import { type Subjects, subjectsOf } from "./registry/subjects.ts";
import { fetchedKeys, fixedKeys, type TokenKeys } from "./registry/token-keys.ts";
import { type Voucher, voucher } from "./registry/vouch.ts";
import type { Site } from "./sites.ts";
import type { FactStore } from "./store/facts.ts";

export interface SubjectParts {
  /** Folder of what is kept. */
  readonly data: string;
  /** The secret under which credentials are hashed. */
  readonly subjectKey: Uint8Array;
  readonly facts: FactStore;
  readonly challenges: Challenges;
  readonly exchanges: Exchanges;
  readonly clock: Clock;
  readonly log: Logger;
}

type Asked = Pick<OpenUpstream, "ping" | "document">;

const ASK_WITHIN = 10_000;

/** The site's own among all that are heard. */
export const siteChallenges = (site: Site, upstream: Asked, parts: SubjectParts): Challenges => {
  const { facts, clock } = parts;
  return askingFor(parts.challenges, facts, async () => {
    const { status, challenges } = await upstream.ping(ownContext("challenge?", AbortSignal.timeout(ASK_WITHIN)));
    if (status === 200 || status === 401) await facts.putPing(site.host, { status, challenges, at: clock() });
  });
};

export const siteSubjects = (site: Site, upstream: Asked, parts: SubjectParts): Subjects => {
  const { subjectKey: secret, clock, exchanges } = parts;
  return subjectsOf({ site: site.host, secret, clock, exchanges, voucher: voucherOf(site, upstream, parts) });
};

const voucherOf = (site: Site, upstream: Asked, parts: SubjectParts): Voucher | undefined => {
  if (site.tokenKeys === undefined) return undefined;
  const { subjectKey: secret, challenges, clock } = parts;
  const audience = async () => (await challenges.of(site.host))?.service;
  return voucher({ keys: keysOf(site.tokenKeys, site, upstream, parts), audience, secret, clock });
};

const keysOf = (
  source: NonNullable<Site["tokenKeys"]>,
  site: Site,
  { document }: Asked,
  { data, clock, log }: SubjectParts,
): TokenKeys => {
  if ("text" in source) return fixedKeys(parsePublicKeys(source.text));
  return fetchedKeys({
    url: source.url,
    fetch: (signal) => document(new URL(source.url), signal),
    file: join(data, "token-keys", `${site.wildcard ?? site.host}.json`),
    keepFor: site.offline ? Number.POSITIVE_INFINITY : site.staleAccess,
    clock,
    log,
  });
};
