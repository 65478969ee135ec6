// In an upstream's place where it is never to be asked: what is held is all there is.
import { OciError } from "../oci/error.ts";
import type { Registry } from "../oci/registry.ts";
import type { Health } from "./witness.ts";

export const offlineRegistry = (host: string): Registry => {
  const refuse = () =>
    Promise.reject(new OciError("UPSTREAM_UNREACHABLE", `${host} is configured to be offline, and this is not held`));
  return {
    getBlob: refuse,
    statBlob: refuse,
    getManifest: refuse,
    statManifest: refuse,
    listTags: refuse,
    listReferrers: refuse,
  };
};

/** Known to be away, for good. */
export const offlineHealth: Health = { up: false, answersPings: false, late: () => undefined };
