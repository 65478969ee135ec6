// What can be asked of the stores, whether a server runs on them or not.
import type { Sites } from "../sites.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { FactStore } from "../store/facts.ts";
import { listCache } from "./cache-list.ts";
import { showImage } from "./cache-show.ts";
import type { Operations } from "./operations.ts";

export interface StoreParts {
  readonly sites: Sites;
  readonly blobs: BlobStore;
  readonly facts: FactStore;
}

export const storeOperations = (parts: StoreParts): Pick<Operations, "list" | "show"> => ({
  list: (input) => listCache(parts, input),
  show: ({ reference }) => showImage(parts, reference),
});
