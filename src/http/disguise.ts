// Paths that mean something else to a registry that decodes or tidies them than they do here, where names are compared as they came:
// what is passed through may go round neither the site's policy nor what is noted of writes.
import { OciError } from "../oci/error.ts";
import type { OciRequest } from "../oci/request.ts";

const API = /^[/\\]+v2(?:[/\\]|$)/i;
/** What some registries take for the same without the slash at its end. */
const ENDLESS = /\/(?:manifests|blobs|tags|referrers)\/[^/]+\/$/;

/** Throws NAME_INVALID. */
export const refuseDisguise = ({ kind }: OciRequest, path: string): void => {
  const plain = path.replace(/%([0-9a-f]{2})/gi, (_escape, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const isOdd =
    plain !== path || plain.includes("\\") || plain.includes("//") || !plain.startsWith("/v2/") || ENDLESS.test(plain);
  const climbs = plain.split(/[/\\]/).some((segment) => segment === "." || segment === "..");
  if (climbs || (kind === "other" && isOdd && API.test(plain)))
    throw new OciError("NAME_INVALID", `a path that can be read in two ways: ${path.slice(0, 300)}`);
};
