// Values → HTTP. The only place that writes status codes and headers of registry answers.
import type { ServerResponse } from "node:http";
import { errorBody, isOciError, OciError } from "../oci/error.ts";
import type { Blob, BlobStat, Listing, Manifest, ManifestStat, Metadata, Provenance } from "../oci/registry.ts";
import { endWith, pour } from "./pour.ts";

/** Names and values in turn: as they go out, which is what Node takes with the least work. */
type Headers = string[];
type Outward = (path: string) => string;

/** A body that breaks off must not look complete: the connection is cut, never ended cleanly. */
export const sendBlob = (res: ServerResponse, blob: Blob): Promise<void> | undefined => {
  const { descriptor, range, body } = blob;
  const length = range === undefined ? descriptor.size : range.end - range.start + 1;
  const headers = withLength(blobHeaders(blob), length);
  if (range !== undefined) headers.push("content-range", `bytes ${range.start}-${range.end}/${descriptor.size ?? "*"}`);
  try {
    res.writeHead(range === undefined ? 200 : 206, headers);
  } catch (error) {
    // what upstream said of it may be no header: nobody else would close what is open
    body.destroy();
    throw error;
  }
  return pour(body, res, length);
};

export const sendBlobStat = (res: ServerResponse, stat: BlobStat): void => {
  res.writeHead(200, withLength(blobHeaders(stat), stat.descriptor.size)).end();
};

export const sendManifest = (res: ServerResponse, manifest: Manifest): void => {
  endWith(manifest.bytes, res.writeHead(200, withLength(answerHeaders(manifest), manifest.bytes.length)));
};

export const sendManifestStat = (res: ServerResponse, stat: ManifestStat): void => {
  res.writeHead(200, withLength(answerHeaders(stat), stat.descriptor.size)).end();
};

/** `outward` is what a path of the site's is for this client. */
export const sendListing = (res: ServerResponse, listing: Listing, outward: Outward): void => {
  res.writeHead(200, listingHeaders(listing, outward)).end(listing.bytes);
};

export const sendListingStat = (res: ServerResponse, listing: Listing, outward: Outward): void => {
  res.writeHead(200, listingHeaders(listing, outward)).end();
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
  const headers = withLength([...API, "content-type", upstream?.contentType ?? "application/json"], Buffer.byteLength(body));
  for (const challenge of failure.challenges) headers.push("www-authenticate", challenge);
  res.writeHead(failure.status, [...headers, ...retryAfter(failure)]).end(body);
};

const API: readonly string[] = ["docker-distribution-api-version", "registry/2.0"];

const withLength = (headers: Headers, length: number | undefined): Headers => {
  if (length !== undefined) headers.push("content-length", String(length));
  return headers;
};

const retryAfter = (failure: OciError): Headers => {
  if (failure.upstream?.retryAfter !== undefined) return ["retry-after", failure.upstream.retryAfter];
  if (failure.retryAfterMs !== undefined) return ["retry-after", String(Math.ceil(failure.retryAfterMs / 1_000))];
  return failure.status === 503 || failure.status === 429 ? ["retry-after", "5"] : [];
};

const blobHeaders = (stat: BlobStat): Headers => {
  const headers = answerHeaders(stat);
  headers.push("accept-ranges", "bytes");
  return headers;
};

const listingHeaders = ({ provenance, metadata, mediaType, bytes }: Listing, outward: Outward): Headers => {
  const headers = common(provenance, metadata);
  if (metadata.next !== undefined) headers.push("link", `<${outward(metadata.next)}>; rel="next"`);
  headers.push("content-type", mediaType);
  return withLength(headers, bytes.length);
};

const answerHeaders = ({ descriptor, provenance, metadata }: BlobStat | ManifestStat): Headers => {
  const { mediaType, digest } = descriptor;
  const headers = common(provenance, metadata);
  headers.push("content-type", mediaType, "docker-content-digest", digest, "etag", `"${digest}"`);
  return headers;
};

const common = ({ source, age }: Provenance, { warnings, filtersApplied, rateLimit }: Metadata): Headers => {
  const headers = [...API, "x-cache", source.toUpperCase()];
  if (age !== undefined) headers.push("age", String(age));
  if (source === "stale") headers.push("warning", '110 layover "Response is Stale"');
  for (const warning of warnings ?? []) headers.push("warning", warning);
  if (filtersApplied !== undefined) headers.push("oci-filters-applied", filtersApplied);
  if (rateLimit !== undefined) headers.push(...Object.entries(rateLimit).flat());
  return headers;
};
