// A site behind a door, over a fault upstream, that an entry of the mirror is about: synced by the real engine, its list there to be changed.
import { silent } from "../../src/lib/log.ts";
import { mirrorEngine } from "../../src/mirror/engine.ts";
import { writes } from "../../src/mirrors/covers.ts";
import type { MirrorEntry, Mirrored } from "../../src/mirrors.ts";
import type { Repository, Tag } from "../../src/oci/reference.ts";
import type { Auth } from "../faults/auth.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../faults/content.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { entryOf as anEntry } from "../mirror/entries.ts";
import { keeping } from "../store/keeping.ts";
import { SITE, siteDoor } from "./site-door.ts";

export const REPO = "ann/app";

export const entryOf = (changes: Partial<MirrorEntry> = {}): MirrorEntry =>
  anEntry(REPO, { source: { site: SITE, repo: REPO }, referrers: true, digestTags: true, ...changes });

export const only = (...tags: string[]): MirrorEntry["tags"] => ({
  only: tags,
  except: [],
  semver: undefined,
  newest: undefined,
});

/** The list, as whoever follows its file would change it. */
export class List implements Mirrored {
  version = 1;
  #entries: readonly MirrorEntry[];

  constructor(entries: readonly MirrorEntry[]) {
    this.#entries = entries;
  }

  covers: Mirrored["covers"] = (...name) => writes(this.#entries)(...name);

  set(...entries: MirrorEntry[]): void {
    this.#entries = entries;
    this.version += 1;
  }
}

export const PRIVATE: Auth = { kind: "basic", users: { ann: "pw", bob: "pw" }, owners: { [REPO]: "ann" } };
const LOGIN = { credentials: { username: "ann", password: "pw" } };

interface Settings {
  readonly auth?: Auth;
  readonly entry?: MirrorEntry;
}

/** Everything of it is asked as `ann`, with a password, unless it is said otherwise; "" is nobody. */
export const mirroredSite = async (
  settings: object = {},
  { auth = PRIVATE, entry = entryOf({ tags: only("v*") }) }: Settings = {},
) => {
  const upstream = await faultUpstream({ auth });
  const list = new List([entry]);
  const { blobs, facts } = await keeping();
  const login = auth.kind === "none" ? {} : LOGIN;
  const door = await siteDoor(
    upstream,
    { freshFor: "0s", onGone: "drop", ...login, ...settings },
    {},
    { blobs, facts, mirrored: list },
  );
  const engine = mirrorEngine({
    sourceOf: () => door.site.source,
    targetOf: () => {
      throw new Error("there is no other target");
    },
    blobs: door.blobs,
    flights: door.flights,
    facts: door.facts,
    events: { changed: () => undefined, failed: () => undefined, ended: () => undefined },
    isPinned: () => false,
    hook: async () => ({ ok: true, output: "" }),
    clock: Date.now,
    log: silent,
  });
  const sync = async (by: MirrorEntry = entry) => {
    const report = await engine.sync(by, { signal: AbortSignal.timeout(20_000), progress: () => undefined });
    upstream.clear();
    return report;
  };
  const authorization = (user: string) => `Basic ${Buffer.from(`${user}:pw`).toString("base64")}`;
  const ask = (path: string, { method = "GET", user = "ann", headers = {}, body, host = SITE }: Asking = {}) =>
    door.ask(`/v2/${REPO}/${path}`, {
      method,
      host,
      headers: { ...(user === "" ? {} : { authorization: authorization(user) }), ...headers },
      ...(body === undefined ? {} : { body }),
    });
  const keyOf = (tag: string) => ({ site: SITE, repo: REPO as Repository, tag: tag as Tag });
  /** As clients do: the tag, the digests it leads to, its blobs. */
  const pull = async (image: ReturnType<typeof seed>, tag = "v1", user = "ann") => {
    const answers = [await ask(`manifests/${tag}`, { method: "HEAD", user, headers: ACCEPT })];
    for (const { digest } of [image.top, image.manifest]) answers.push(await ask(`manifests/${digest}`, { user }));
    for (const { digest } of [image.config, ...image.layers]) answers.push(await ask(`blobs/${digest}`, { user }));
    return { digest: answers[0]!.headers["docker-content-digest"], codes: answers.map(({ status }) => status).join(" ") };
  };
  const seed = (tag: string) => upstream.content.seed({ repo: REPO, tag, index: true });
  const whole = (image: ReturnType<typeof seed>) => ({ digest: image.top.digest, codes: "200 200 200 200 200" });
  return { upstream, door, list, engine, entry, sync, ask, pull, whole, seed, keyOf, authorization };
};

interface Asking {
  readonly method?: string;
  readonly user?: string;
  readonly headers?: Record<string, string>;
  readonly body?: Buffer;
  readonly host?: string;
}

/** As a client that pulls says it. */
export const ACCEPT = { accept: `${OCI_INDEX}, ${OCI_MANIFEST}, */*` };
