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

/** Known to be away, for good. */
export const offlineHealth: Health = { up: false, answersPings: false, late: () => undefined };
