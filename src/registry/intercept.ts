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

export const intercept = (inner: Registry, around: Around): Registry => {
  const wrapped =
    <Q extends { readonly repo: Repository }, R>(operation: Operation, next: (query: Q, ctx: Context) => Promise<R>) =>
    (query: Q, ctx: Context): Promise<R> =>
      around(operation, query, ctx, next);
  return {
    getBlob: wrapped("getBlob", (query, ctx) => inner.getBlob(query, ctx)),
    statBlob: wrapped("statBlob", (query, ctx) => inner.statBlob(query, ctx)),
    getManifest: wrapped("getManifest", (query, ctx) => inner.getManifest(query, ctx)),
    statManifest: wrapped("statManifest", (query, ctx) => inner.statManifest(query, ctx)),
    listTags: wrapped("listTags", (query, ctx) => inner.listTags(query, ctx)),
    listReferrers: wrapped("listReferrers", (query, ctx) => inner.listReferrers(query, ctx)),
  };
};
