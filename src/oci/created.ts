// When an image says that it was made. Anybody can say anything there: it is for people, and for a sync that waits for things to be old.
import { parseObject } from "./json.ts";

/** image-spec, annotations.md. */
const CREATED = "org.opencontainers.image.created";
/** RFC 3339, as the specification wants it. */
const DATE_TIME = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

/** By a manifest's or an index's own annotation. ms since the epoch; `undefined`: it does not say so. */
export const createdOfManifest = (bytes: Uint8Array): number | undefined => {
  // most say nothing, and need not be parsed to find that out
  if (!Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(CREATED)) return undefined;
  const { annotations } = parseObject(bytes) ?? {};
  return createdOfAnnotations(annotations as Readonly<Record<string, unknown>> | null | undefined);
};

export const createdOfAnnotations = (annotations: Readonly<Record<string, unknown>> | null | undefined): number | undefined =>
  timeOf(annotations?.[CREATED]);

/** By an image's configuration (image-spec, config.md). */
export const createdOfConfig = (bytes: Uint8Array): number | undefined => timeOf(parseObject(bytes)?.["created"]);

/** What is before 1970 is Go's zero time, or no date that anybody means. */
const timeOf = (value: unknown): number | undefined => {
  if (typeof value !== "string" || !DATE_TIME.test(value)) return undefined;
  const time = Date.parse(value.replace(" ", "T"));
  return Number.isFinite(time) && time >= 0 ? time : undefined;
};
