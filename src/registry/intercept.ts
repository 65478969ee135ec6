// One function around every method of a Registry, so that what concerns all of them is written once.

import type { Repository } from "../oci/reference.ts";
import type { Context, Operation, Registry } from "../oci/registry.ts";

/** What passes by: the operation, the question (always of one repository), and who asks. `next` goes on inwards. */
export type Around = <Q extends { readonly repo: Repository }, R>(
  operation: Operation,
  query: Q,
  ctx: Context,
  next: (query: Q, ctx: Context) => Promise<R>,
) => Promise<R>;

export const intercept = (inner: Registry, around: Around): Registry => ({
  getBlob: (query, ctx) => around("getBlob", query, ctx, (q, c) => inner.getBlob(q, c)),
  statBlob: (query, ctx) => around("statBlob", query, ctx, (q, c) => inner.statBlob(q, c)),
  getManifest: (query, ctx) => around("getManifest", query, ctx, (q, c) => inner.getManifest(q, c)),
  statManifest: (query, ctx) => around("statManifest", query, ctx, (q, c) => inner.statManifest(q, c)),
  listTags: (query, ctx) => around("listTags", query, ctx, (q, c) => inner.listTags(q, c)),
  listReferrers: (query, ctx) => around("listReferrers", query, ctx, (q, c) => inner.listReferrers(q, c)),
});
