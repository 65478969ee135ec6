// Media types of manifests, and what an Accept header lets through.
import { LRUCache } from "lru-cache";

export const MANIFEST_TYPES = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.oci.artifact.manifest.v1+json",
] as const;

/** What upstream is asked for besides: questions that differ in nothing else have the same answer. */
export const beyondKnown = (ranges: readonly string[]): string[] =>
  ranges.filter((range) => range !== "*/*" && !KNOWN.has(range));

const KNOWN: ReadonlySet<string> = new Set(MANIFEST_TYPES);

/** Docker's schema 1: its digest leaves the signatures out, so it can be neither verified nor kept. */
export const isSchema1 = (mediaType: string): boolean => mediaType.startsWith("application/vnd.docker.distribution.manifest.v1+");

/** `type/subtype` in lower case, without parameters. */
export const bareType = (value: string): string => value.split(";", 1)[0]!.trim().toLowerCase();

/** Clients send the same one with each request, and there are few clients. Characters. */
const parsed = new LRUCache<string, readonly string[]>({ maxSize: 64 * 1024, sizeCalculation: (_, value) => value.length + 1 });

/** Accept → its media ranges, those with q=0 left out. */
export const parseAccept = (value: string): readonly string[] => {
  const known = parsed.get(value);
  if (known !== undefined) return known;
  const ranges = rangesOf(value);
  parsed.set(value, ranges);
  return ranges;
};

const rangesOf = (value: string): string[] =>
  value
    .split(",")
    .filter((range) => !/;\s*q\s*=\s*0(\.0*)?\s*(;|$)/i.test(range))
    .map(bareType)
    .filter((range) => range !== "");

/** Whether a client that sent these ranges takes the type. No Accept at all takes everything (RFC 9110 §12.5.1). */
export const accepts = (ranges: readonly string[], mediaType: string): boolean => {
  if (ranges.length === 0) return true;
  const type = bareType(mediaType);
  const main = `${type.split("/", 1)[0]}/*`;
  return ranges.some((range) => range === type || range === "*/*" || range === main);
};
