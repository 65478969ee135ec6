// Blobs of one site: from the store through a right and a link, from the flight that is filling it, or from upstream.
import { type RangeRequest, resolveRange } from "../oci/range.ts";
import type { Blob, BlobQuery, BlobRead, BlobStat, Context, Descriptor, Registry } from "../oci/registry.ts";
import { type BlobStore, StoreFull } from "../store/blobs.ts";
import { alone } from "./alone.ts";
import { type Confirmation, type ConfirmParts, confirm, provenanceOf } from "./confirm.ts";
import type { Flight } from "./flight.ts";
import type { Flights } from "./flights.ts";
import type { Open } from "./opening.ts";
import { told } from "./told.ts";
import { verified } from "./verified.ts";
import { BLOB_TYPE } from "./witness.ts";

/** A Range that starts further past the write head than this goes straight to upstream: the fill would keep it waiting. Bytes. */
const FAR_AHEAD = 16 * 1024 * 1024;

export interface BlobCacheParts extends ConfirmParts {
  readonly blobs: BlobStore;
  readonly flights: Flights;
  /** Upstream, as far as anything is fetched from it. */
  readonly source: Registry;
}

export interface BlobCache {
  getBlob(query: BlobRead, ctx: Context): Promise<Blob>;
  statBlob(query: BlobQuery, ctx: Context): Promise<BlobStat>;
}

interface BlobSize {
  readonly size: number;
}

export const blobCache = (parts: BlobCacheParts): BlobCache => {
  const { blobs, flights, upstream, source, site, policy, facts, rights } = parts;
  const allow = async ({ repo, digest }: BlobQuery, ctx: Context): Promise<Confirmation> => {
    const link = told(await facts.link({ site: site.host, repo, digest }));
    const { onGone } = policy.of(repo, digest);
    const ask = (c: Context) => upstream.statBlob({ repo, digest }, c);
    return confirm(parts, { repo, digest, linked: link !== undefined, onGone, ask }, ctx);
  };

  const fromStore = async (query: BlobRead, size: number, confirmation: Confirmation): Promise<Blob | undefined> => {
    const range = query.range === undefined ? undefined : resolveRange(query.range, size);
    const body = await blobs.read(query.digest, range);
    if (body === undefined) return undefined;
    return { descriptor: descriptorOf(query, size), body, range, provenance: provenanceOf(confirmation), metadata: {} };
  };

  /** Under the joiner's own credential, but with the opener's signal: the client that began it may leave. */
  const openFor =
    ({ repo, digest }: BlobRead, ctx: Context): Open =>
    async (offset, signal, end) => {
      const range = offset === 0 && end === undefined ? {} : { range: { start: offset, ...(end === undefined ? {} : { end }) } };
      const blob = await source.getBlob({ repo, digest, ...range }, { ...ctx, signal });
      return { body: blob.body, start: blob.range?.start ?? 0, total: blob.descriptor.size };
    };

  const fromFlight = async (flight: Flight, query: BlobRead, ctx: Context, provenance: "miss" | "hit"): Promise<Blob> => {
    if (isFarAhead(query.range, flight.head)) return straight(query, ctx);
    const { repo, digest } = query;
    const joining = {
      open: openFor(query, ctx),
      client: ctx.client,
      site: site.host,
      isEntitled: async () => (await rights.standing(repo, ctx.credential)) !== "none",
    };
    try {
      const { total, range, body } = await flight.join(joining, query.range, ctx.signal);
      return { descriptor: descriptorOf({ repo, digest }, total), body, range, provenance: { source: provenance }, metadata: {} };
    } catch (error) {
      if (error instanceof StoreFull) return straight(query, ctx);
      throw error;
    }
  };

  /** Past the store, as one reader of its own. */
  const straight = async (query: BlobRead, ctx: Context): Promise<Blob> => {
    const blob = await source.getBlob(query, ctx);
    const { start = 0, end } = blob.range ?? {};
    const total = blob.descriptor.size;
    const first = { body: blob.body, start, total };
    const body = alone({ open: openFor(query, ctx), from: start, end, total, first, retry: flights.options.retry });
    return { ...verified({ ...blob, body }), provenance: { source: "uncached" } };
  };

  /** For a client whose right to the blob has been seen; `known`: what was held before, which may have gone since. */
  const entitled = async (query: BlobRead, ctx: Context, right: Confirmation, known: BlobSize | undefined): Promise<Blob> => {
    const flight = flights.get(query.digest);
    // it costs upstream nothing more: for this client that is a hit
    if (flight !== undefined) return fromFlight(flight, query, ctx, "hit");
    const held = known ?? (await blobs.stat(query.digest));
    const blob = held === undefined ? undefined : await fromStore(query, held.size, right);
    return blob ?? fromFlight(flights.get(query.digest) ?? flights.begin(query.digest), query, ctx, "miss");
  };

  return {
    async getBlob(query, ctx) {
      const held = flights.get(query.digest) === undefined ? await blobs.stat(query.digest) : undefined;
      // Who begins a flight is answered by upstream itself, under its own credential. Everybody else needs a right first:
      // what a flight has opened was opened by another's.
      const begins = held === undefined && flights.get(query.digest) === undefined;
      if (begins && isFarAhead(query.range, blobs.leftover(query.digest))) return straight(query, ctx);
      if (begins) return fromFlight(flights.begin(query.digest), query, ctx, "miss");
      return entitled(query, ctx, await allow(query, ctx), held);
    },
    async statBlob(query, ctx) {
      const held = await blobs.stat(query.digest);
      if (held === undefined) return source.statBlob(query, ctx);
      const confirmation = await allow(query, ctx);
      return { descriptor: descriptorOf(query, held.size), provenance: provenanceOf(confirmation), metadata: {} };
    },
  };
};

const isFarAhead = (range: RangeRequest | undefined, head: number): boolean =>
  range !== undefined && ("suffix" in range || range.start > head + FAR_AHEAD);

const descriptorOf = ({ digest }: BlobQuery, size: number | undefined): Descriptor => ({ mediaType: BLOB_TYPE, digest, size });
