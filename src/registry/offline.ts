// In an upstream's place where it is never to be asked: what is held is all there is, so what is not held does not exist.
import { type ErrorCode, OciError } from "../oci/error.ts";
import type { Registry } from "../oci/registry.ts";
import type { Health } from "./witness.ts";

export const offline = (host: string, code: ErrorCode): OciError =>
  new OciError(code, `${host} is configured to be offline: only what is held here, and may be read, can be had`);

/** To who may not read what is held it says no more than to who asks for what is not. */
export const offlineRegistry = (host: string): Registry => {
  const unknown = (code: ErrorCode) => () => Promise.reject(offline(host, code));
  return {
    getBlob: unknown("BLOB_UNKNOWN"),
    statBlob: unknown("BLOB_UNKNOWN"),
    getManifest: unknown("MANIFEST_UNKNOWN"),
    statManifest: unknown("MANIFEST_UNKNOWN"),
    listTags: unknown("NAME_UNKNOWN"),
    listReferrers: unknown("NAME_UNKNOWN"),
  };
};

/** In the place of what a sync reads: it is not told that things are gone which nobody has asked for. */
export const noSource = (host: string) => {
  const cannot = () =>
    Promise.reject(
      new OciError("UNSUPPORTED", `${host} is configured to be offline (\`offline: true\`): nothing of it can be synced`),
    );
  const registry: Registry = {
    getBlob: cannot,
    statBlob: cannot,
    getManifest: cannot,
    statManifest: cannot,
    listTags: cannot,
    listReferrers: cannot,
  };
  return { registry, listRepositories: cannot };
};

/** Known to be away, for good. */
export const offlineHealth: Health = { up: false, answersPings: false, late: () => undefined };
