// Where each operation is found, for the listener and its client alike: they cannot disagree.
import type { OperationName } from "./operations.ts";

export interface Route {
  readonly method: "GET" | "POST";
  readonly path: string;
  /**
   * Long work: answered by lines of JSON, `{"progress":…}` (or null: still there) any number of times, then one `{"result":…}` or `{"error":…}`.
   * An answer without that last line has been torn off.
   */
  readonly isLong?: true;
  /** Long work that several may ask for at once. */
  readonly isShared?: true;
}

export const ROUTES = {
  status: { method: "GET", path: "/api/v1/status" },
  bypass: { method: "GET", path: "/api/v1/bypass" },
  bypassOn: { method: "POST", path: "/api/v1/bypass/on" },
  bypassOff: { method: "POST", path: "/api/v1/bypass/off" },
  list: { method: "GET", path: "/api/v1/cache" },
  show: { method: "GET", path: "/api/v1/cache/show" },
  remove: { method: "POST", path: "/api/v1/cache/rm", isLong: true },
  verify: { method: "POST", path: "/api/v1/cache/verify", isLong: true },
  collect: { method: "POST", path: "/api/v1/cache/gc", isLong: true },
  explain: { method: "GET", path: "/api/v1/explain" },
  warm: { method: "POST", path: "/api/v1/warm", isLong: true },
  refresh: { method: "POST", path: "/api/v1/refresh", isLong: true },
  mirrorCheck: { method: "POST", path: "/api/v1/mirror/check", isLong: true, isShared: true },
  mirrorSync: { method: "POST", path: "/api/v1/mirror/sync", isLong: true, isShared: true },
  mirrorStatus: { method: "GET", path: "/api/v1/mirror/status" },
  exportPlan: { method: "POST", path: "/api/v1/export" },
  importCheck: { method: "POST", path: "/api/v1/import/check" },
  importManifest: { method: "POST", path: "/api/v1/import/manifest" },
  importTag: { method: "POST", path: "/api/v1/import/tag" },
  tagList: { method: "GET", path: "/api/v1/tags" },
  tagHistory: { method: "GET", path: "/api/v1/tags/history" },
  tagDiff: { method: "GET", path: "/api/v1/tags/diff" },
  tagPin: { method: "POST", path: "/api/v1/tags/pin" },
  tagRollback: { method: "POST", path: "/api/v1/tags/rollback" },
  tagUnpin: { method: "POST", path: "/api/v1/tags/unpin" },
} as const satisfies Record<OperationName, Route>;

export const NDJSON = "application/x-ndjson";
