// Pushers skip what a HEAD says is there. So a HEAD by whom might push is upstream's to answer while it can be reached:
// a push must never be skipped because of what is held here.
import { isOciError } from "../oci/error.ts";
import { isDigestReference } from "../oci/reference.ts";
import type { Context, ManifestQuery, ManifestStat, Registry } from "../oci/registry.ts";
import { patiently } from "./patience.ts";
import { showsPullOnly, showsPush } from "./subject.ts";
import type { Tags } from "./tags.ts";
import type { Health } from "./witness.ts";

export interface BeforePushParts {
  readonly upstream: Registry;
  readonly tags: Tags;
  readonly health: Health;
  /** Whether the site challenges who comes without a credential; an open registry takes pushes from anybody. */
  readonly challenges: () => Promise<boolean>;
}

export const beforePush = (inner: Registry, { upstream, tags, health, challenges }: BeforePushParts): Registry => {
  const ask = async <T>(ctx: Context, question: (ctx: Context) => Promise<T>, instead: () => Promise<T>): Promise<T> => {
    if (!health.up) return instead();
    try {
      return await patiently(question, ctx, health);
    } catch (error) {
      if (!isOciError(error) || !error.isOutage) throw error;
      return instead();
    }
  };
  /**
   * Upstream may say what it likes of it: pushers are told what everybody pulls. Of what is mirrored they hear upstream's word, with which it
   * will be brought into line.
   */
  const isOurs = async ({ repo, reference }: ManifestQuery, ctx: Context) =>
    (await tags.pinnedTo(repo, reference)) !== undefined && !(seemsToPush(ctx) && (await tags.movesBySync(repo, reference)));
  return {
    ...inner,
    statBlob: (query, ctx) =>
      ask(
        ctx,
        (c) => upstream.statBlob(query, c),
        () => inner.statBlob(query, ctx),
      ),
    async statManifest(query, ctx) {
      if (!(await mayPush(ctx, challenges)) || (await isOurs(query, ctx))) return inner.statManifest(query, ctx);
      const question = (c: Context) => statAtUpstream(upstream, tags, query, c);
      return ask(ctx, question, () => inner.statManifest(query, ctx));
    },
  };
};

/** regctl and regsync look with a token for pull whether there is anything to push, and get one for push only then. */
const LOOKS_WITH_LESS = /^regclient\//;

const mayPush = async ({ credential, agent = "" }: Context, challenges: () => Promise<boolean>): Promise<boolean> => {
  if (credential === undefined) return !(await challenges());
  return LOOKS_WITH_LESS.test(agent) || !showsPullOnly(credential);
};

/**
 * Whoever pulls a mirrored tag asks in the same way, and is to hear of what is held: it is a pusher who shows a token for that, or takes the one
 * type of what it has before all others, as containerd and what is built of it do. Others cannot be told apart, crane and regctl among them.
 */
const seemsToPush = ({ credential, accept }: Context): boolean =>
  (credential !== undefined && showsPush(credential)) || (accept.length === 2 && accept[0] !== "*/*" && accept[1] === "*/*");

const statAtUpstream = async (
  upstream: Registry,
  tags: Tags,
  query: Parameters<Registry["statManifest"]>[0],
  ctx: Context,
): Promise<ManifestStat> => {
  const { repo, reference } = query;
  const answer = isDigestReference(reference) ? await upstream.statManifest(query, ctx) : await tags.ask(repo, reference, ctx);
  return { ...answer, provenance: { source: "revalidated", age: 0 } };
};
