// Manifests that are not held: one GET for all who ask while it is under way, as registries count those. What another's credential
// has fetched is given to nobody by that: whoever brings another looks again, by his own right, at what is held by then.
import { FollowerError, SingleFlight } from "../lib/single-flight.ts";
import { createdOfManifest } from "../oci/created.ts";
import { isOciError } from "../oci/error.ts";
import { beyondKnown } from "../oci/media.ts";
import { isDigestReference } from "../oci/reference.ts";
import type { Context, Credential, Manifest, ManifestQuery, Registry } from "../oci/registry.ts";
import { type KeepParts, keepManifest } from "./keep-manifest.ts";
import type { Tags } from "./tags.ts";

export interface ManifestFetchParts extends KeepParts {
  readonly source: Registry;
  readonly tags: Tags;
}

interface Fetched {
  readonly manifest: Manifest;
  readonly by: Credential | undefined;
}

/** `look` is how this client finds what is held: tried once another has fetched it. */
export type ManifestFetch = (query: ManifestQuery, ctx: Context, look: () => Promise<Manifest | undefined>) => Promise<Manifest>;

export const manifestFetch = (parts: ManifestFetchParts): ManifestFetch => {
  const { tags } = parts;
  const running = new SingleFlight<Fetched>();
  const generationOf = async ({ repo, reference }: ManifestQuery) =>
    isDigestReference(reference) ? 0 : ((await tags.fact(repo, reference))?.generation ?? 0);

  return async (query, ctx, look) => {
    // read before upstream is asked: a write that goes by meanwhile outdates the answer, and nobody joins it any more
    const generation = await generationOf(query);
    const work = async (signal: AbortSignal): Promise<Fetched> => ({
      manifest: await fetchAndKeep(parts, query, generation, { ...ctx, signal }),
      by: ctx.credential,
    });
    const key = `${query.repo}\n${query.reference}\n${generation}\n${beyondKnown(ctx.accept).join()}`;
    const first = await follow(running, key, ctx, work);
    if (first !== undefined && first.by === ctx.credential) return first.manifest;
    const found = first === undefined ? undefined : await look();
    if (found !== undefined) return found;
    // those who bring the same credential have the same answer to expect, a refusal included
    const own = await running.run(`${key}\n${ctx.credential ?? ""}`, ctx.signal, work).catch(ofTheirOwn);
    return own.value.manifest;
  };
};

const ofTheirOwn = (error: unknown): never => {
  throw error instanceof FollowerError && isOciError(error.cause) ? error.cause : error;
};

/** `undefined`: it was another's, and has failed; that says nothing to this client. */
const follow = async (
  running: SingleFlight<Fetched>,
  key: string,
  ctx: Context,
  work: (signal: AbortSignal) => Promise<Fetched>,
): Promise<Fetched | undefined> => {
  try {
    const { value, led } = await running.run(key, ctx.signal, work);
    if (led || value.manifest.provenance.source !== "miss") return value;
    // it costs upstream nothing more: for this client that is a hit
    return { ...value, manifest: { ...value.manifest, provenance: { source: "hit", age: 0 } } };
  } catch (error) {
    if (!(error instanceof FollowerError)) throw error;
    ctx.signal.throwIfAborted();
    return undefined;
  }
};

const fetchAndKeep = async (
  parts: ManifestFetchParts,
  query: ManifestQuery,
  generation: number,
  ctx: Context,
): Promise<Manifest> => {
  const { tags, source } = parts;
  const { repo, reference } = query;
  const manifest = await source.getManifest(query, ctx);
  if (!(await keepManifest(parts, manifest))) return { ...manifest, provenance: { source: "uncached" } };
  const { digest } = manifest.descriptor;
  const created = createdOfManifest(manifest.bytes);
  await tags.arrived(repo, digest, created);
  if (!isDigestReference(reference)) await tags.learn(tags.keyOf(repo, reference), digest, generation, created);
  return { ...manifest, provenance: { source: "miss" } };
};
