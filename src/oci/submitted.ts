// A manifest that a client puts, looked at before it is believed: its type, what it needs, and what it refers to. Throws MANIFEST_INVALID.
import { type Digest, isDigest } from "./digest.ts";
import { OciError } from "./error.ts";
import { parseObject } from "./json.ts";
import { bareType, isSchema1 } from "./media.ts";
import { MAX_PARTS, partsIn } from "./parts.ts";

export interface Submitted {
  readonly mediaType: string;
  /** All that it names. */
  readonly parts: readonly Digest[];
  /** Of these, what a registry must have to take it. */
  readonly needs: readonly Digest[];
  readonly subject: Digest | undefined;
  /** What it is listed as among the referrers of its subject. */
  readonly artifactType: string;
  readonly annotations: Readonly<Record<string, string>> | undefined;
}

export const parseSubmitted = (bytes: Buffer, contentType: string | undefined): Submitted => {
  const document = parseObject(bytes);
  if (document === undefined) throw invalid("it is no JSON object");
  const parts = partsIn(document);
  if (parts.length >= MAX_PARTS) throw invalid(`it names more than ${MAX_PARTS} others`);
  const elsewhere = foreignParts(document);
  return {
    mediaType: typeOf(document, contentType),
    parts,
    needs: parts.filter((digest) => !elsewhere.has(digest)),
    subject: subjectOf(document),
    artifactType: artifactTypeOf(document),
    annotations: annotationsOf(document),
  };
};

const invalid = (why: string): OciError => new OciError("MANIFEST_INVALID", `this manifest cannot be taken: ${why}`);

const TYPE = /^application\/[\w.+-]{1,200}\+?json$/;

const typeOf = ({ mediaType, schemaVersion }: Record<string, unknown>, contentType: string | undefined): string => {
  if (mediaType !== undefined && typeof mediaType !== "string") throw invalid("its mediaType is no text");
  const sent = contentType === undefined ? undefined : bareType(contentType);
  if (sent !== undefined && mediaType !== undefined && mediaType !== sent)
    throw invalid(`it says that it is ${mediaType.slice(0, 200)}, and was sent as ${sent.slice(0, 200)}`);
  const type = sent ?? mediaType;
  if (type === undefined) throw invalid("it has no media type, neither in Content-Type nor in itself");
  if (isSchema1(type) || schemaVersion === 1) throw invalid("schema 1 is no longer taken by anybody");
  if (!TYPE.test(type)) throw invalid(`${type.slice(0, 200)} is no type of a manifest`);
  return type;
};

/** Layers that are fetched from elsewhere need not be here (image-spec, "Non-Distributable Layers"). */
const foreignParts = ({ layers }: Record<string, unknown>): Set<unknown> =>
  new Set(
    (Array.isArray(layers) ? layers : [])
      .map(recordOf)
      .filter(isForeign)
      .map(({ digest }) => digest),
  );

const isForeign = ({ mediaType, urls }: Record<string, unknown>): boolean =>
  (typeof mediaType === "string" && /nondistributable|\.foreign\./.test(mediaType)) || (Array.isArray(urls) && urls.length > 0);

const subjectOf = ({ subject }: Record<string, unknown>): Digest | undefined => {
  if (subject === undefined || subject === null) return undefined;
  const { digest } = recordOf(subject);
  if (typeof digest !== "string" || !isDigest(digest)) throw invalid("its subject has no sha256 or sha512 digest");
  return digest;
};

/** distribution-spec, "Listing Referrers": of an image manifest without one it is the type of its configuration. */
const artifactTypeOf = ({ artifactType, config }: Record<string, unknown>): string => {
  if (typeof artifactType === "string" && artifactType !== "") return artifactType;
  const { mediaType } = recordOf(config);
  return typeof mediaType === "string" ? mediaType : "";
};

/** Of one with a subject, in whose list of referrers they stand. Bytes, about. */
const MOST_ANNOTATIONS = 1024 * 1024;

const annotationsOf = ({ annotations, subject }: Record<string, unknown>): Record<string, string> | undefined => {
  const entries = Object.entries(recordOf(annotations)).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
  const length = entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  if (subject !== undefined && length > MOST_ANNOTATIONS) throw invalid(`its annotations are longer than ${MOST_ANNOTATIONS}`);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
};

const recordOf = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
