// Values → HTTP. The only place that writes status codes and headers of registry answers.
import type { ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { errorBody, isOciError, OciError } from "../oci/error.ts";
import type { Blob, BlobStat, Listing, Manifest, ManifestStat, Metadata, Provenance } from "../oci/registry.ts";

type Headers = Record<string, string | number | readonly string[]>;

/** A body that breaks off must not look complete: the connection is cut (pipeline destroys the response), never ended cleanly. */
export const sendBlob = async (res: ServerResponse, blob: Blob): Promise<void> => {
  const { descriptor, range } = blob;
  const length = range === undefined ? descriptor.size : range.end - range.start + 1;
  res.writeHead(range === undefined ? 200 : 206, {
    ...blobHeaders(blob),
    ...(length === undefined ? {} : { "content-length": length }),
    ...(range === undefined ? {} : { "content-range": `bytes ${range.start}-${range.end}/${descriptor.size}` }),
  });
  // a reader that waits for the first byte should learn at once that there is an answer
  res.flushHeaders();
  await pipeline(blob.body, res);
};

export const sendBlobStat = (res: ServerResponse, stat: BlobStat): void => {
  const { size } = stat.descriptor;
  res.writeHead(200, { ...blobHeaders(stat), ...(size === undefined ? {} : { "content-length": size }) }).end();
};

export const sendManifest = (res: ServerResponse, manifest: Manifest): void => {
  res.writeHead(200, { ...manifestHeaders(manifest), "content-length": manifest.bytes.length }).end(manifest.bytes);
};

export const sendManifestStat = (res: ServerResponse, stat: ManifestStat): void => {
  const { size } = stat.descriptor;
  res.writeHead(200, { ...manifestHeaders(stat), ...(size === undefined ? {} : { "content-length": size }) }).end();
};

export const sendListing = (res: ServerResponse, listing: Listing, head: boolean): void => {
  res.writeHead(200, {
    ...common(listing.provenance, listing.metadata),
    "content-type": listing.mediaType,
    "content-length": listing.bytes.length,
  });
  res.end(head ? undefined : listing.bytes);
};

/** Before the first byte: an OCI error, or what upstream itself said. After it: the connection is cut. */
export const sendError = (res: ServerResponse, error: unknown): void => {
  if (res.headersSent || res.destroyed) {
    res.destroy();
    return;
  }
  const failure = isOciError(error) ? error : new OciError("UNKNOWN", "internal error", { cause: error });
  const { upstream } = failure;
  const body = upstream === undefined || upstream.body === "" ? errorBody(failure) : upstream.body;
  res.writeHead(failure.status, {
    ...API,
    "content-type": upstream?.contentType ?? "application/json",
    "content-length": Buffer.byteLength(body),
    ...(upstream === undefined || upstream.challenges.length === 0 ? {} : { "www-authenticate": [...upstream.challenges] }),
    ...retryAfter(failure),
  });
  res.end(body);
};

const API = { "docker-distribution-api-version": "registry/2.0" } as const;

const retryAfter = (failure: OciError): Headers => {
  if (failure.upstream?.retryAfter !== undefined) return { "retry-after": failure.upstream.retryAfter };
  return failure.status === 503 || failure.status === 429 ? { "retry-after": "5" } : {};
};

const blobHeaders = ({ descriptor, provenance, metadata }: BlobStat): Headers => ({
  ...common(provenance, metadata),
  "content-type": descriptor.mediaType,
  "docker-content-digest": descriptor.digest,
  etag: `"${descriptor.digest}"`,
  "accept-ranges": "bytes",
});

const manifestHeaders = ({ descriptor, provenance, metadata }: ManifestStat): Headers => ({
  ...common(provenance, metadata),
  "content-type": descriptor.mediaType,
  "docker-content-digest": descriptor.digest,
  etag: `"${descriptor.digest}"`,
});

const common = ({ source, age }: Provenance, metadata: Metadata): Headers => {
  const warnings = [...(source === "stale" ? ['110 layover "Response is Stale"'] : []), ...(metadata.warnings ?? [])];
  return {
    ...API,
    "x-cache": source.toUpperCase(),
    ...(age === undefined ? {} : { age }),
    ...(warnings.length === 0 ? {} : { warning: warnings }),
    ...(metadata.next === undefined ? {} : { link: `<${metadata.next}>; rel="next"` }),
    ...(metadata.filtersApplied === undefined ? {} : { "oci-filters-applied": metadata.filtersApplied }),
    ...metadata.rateLimit,
  };
};
