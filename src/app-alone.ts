// What can be asked of the stores when no server runs on them. The folder's lock is held meanwhile: two processes never write one store.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { AdminError } from "./admin/error.ts";
import type { Operations } from "./admin/operations.ts";
import { storeOperations } from "./admin/store-operations.ts";
import type { Config } from "./config/config.ts";
import { SetupError } from "./lib/setup-error.ts";
import { siteTable } from "./sites.ts";
import { openDisk } from "./store/disk.ts";
import { openSqlite } from "./store/sqlite.ts";

export interface Alone {
  readonly operations: Operations;
  close(): Promise<void>;
}

/** Throws SetupError where there is no store, StoreUnusable when a process holds it. Nothing is made that was not there. */
export const openAlone = async (config: Config): Promise<Alone> => {
  const facts = join(config.data, "facts.sqlite");
  if (!existsSync(facts)) throw new SetupError(`${config.data} holds nothing yet: no Layover has run with this configuration`);
  const { data: folder, maxSize } = config;
  const blobs = await openDisk({ folder, ...(maxSize !== undefined && { maxSize }), lockWait: 0 });
  const store = { sites: siteTable(config.sites), blobs, facts: openSqlite(facts) };
  return {
    operations: { ...storeOperations(store), status: needsServer },
    async close() {
      await store.facts.close();
      await blobs.close();
    },
  };
};

const needsServer = (): Promise<never> =>
  Promise.reject(new AdminError("UNAVAILABLE", "no Layover runs here, and this needs one: `layover serve`"));
