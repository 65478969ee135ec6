// A write to a hosted site: the request becomes one call of `Hosted`, and its result an answer (distribution-spec, end-4a … end-13).
import type { ServerResponse } from "node:http";
import { type Algorithm, type Digest, parseDigest } from "../oci/digest.ts";
import { isOciError, OciError } from "../oci/error.ts";
import type { Hosted, UploadState } from "../oci/hosted.ts";
import { parseChunkRange } from "../oci/range.ts";
import { isDigestReference, isTag, parseRepository, type Repository, type Tag } from "../oci/reference.ts";
import type { OciRequest, WriteRequest } from "../oci/request.ts";
import type { Exchange } from "./exchange.ts";
import { hasBody, requestBody } from "./request-body.ts";
import { sendListing, sendListingStat } from "./respond.ts";

/** Of a site that has no upstream to pass anything to. */
export const hostedDoor =
  (hosted: Hosted) =>
  async (exchange: Exchange, request: OciRequest): Promise<void> => {
    exchange.note.verdict = "HOSTED";
    try {
      await answer(hosted, exchange, request);
    } catch (error) {
      endUnread(exchange);
      throw error;
    }
  };

const answer = async (hosted: Hosted, exchange: Exchange, request: OciRequest): Promise<void> => {
  const { ctx, res, method, path } = exchange;
  if (request.kind === "catalog") {
    const listing = await hosted.listRepositories(request, ctx);
    return (method === "HEAD" ? sendListingStat : sendListing)(res, listing, exchange.outward);
  }
  if (request.kind !== "write") throw new OciError("NAME_UNKNOWN", `there is nothing at ${path.slice(0, 300)} here`);
  if (request.what === "upload") return upload(hosted, exchange, request);
  if (request.what === "manifest") return manifest(hosted, exchange, request);
  if (method !== "DELETE") throw unsupported(method, path);
  await hosted.deleteBlob({ repo: request.repo, digest: parseDigest(request.digest ?? "") }, ctx);
  send(res, 202);
};

const unsupported = (method: string, path: string): OciError =>
  new OciError("UNSUPPORTED", `${method.slice(0, 20)} is not supported on ${path.slice(0, 300)}`);

const manifest = async (hosted: Hosted, exchange: Exchange, request: WriteRequest): Promise<void> => {
  const { req, res, ctx, method, path, outward } = exchange;
  const { repo } = request;
  const reference = request.reference!;
  if (method === "PUT") {
    const tags = (request.tags ?? []).map(parseTag);
    const mediaType = req.headers["content-type"];
    const { digest, subject } = await hosted.putManifest({ repo, reference, tags, mediaType, body: requestBody(req, res) }, ctx);
    const called = [...new Set([...(isDigestReference(reference) ? [] : [reference]), ...tags])];
    return send(res, 201, [
      ...["location", outward(`/v2/${repo}/manifests/${digest}`), "docker-content-digest", digest],
      ...(subject === undefined ? [] : ["oci-subject", subject]),
      ...called.flatMap((tag) => ["oci-tag", tag]),
    ]);
  }
  if (method !== "DELETE") throw unsupported(method, path);
  if (isDigestReference(reference)) await hosted.deleteManifest({ repo, digest: reference }, ctx);
  else await hosted.deleteTag({ repo, tag: reference }, ctx);
  send(res, 202);
};

const parseTag = (text: string): Tag => {
  if (!isTag(text)) throw new OciError("MANIFEST_INVALID", `invalid tag: ${text.slice(0, 200)}`);
  return text;
};

const upload = async (hosted: Hosted, exchange: Exchange, request: WriteRequest): Promise<void> => {
  const { res, ctx, method, path } = exchange;
  const { repo, upload: id } = request;
  if (id === undefined) {
    if (method !== "POST") throw unsupported(method, path);
    return begin(hosted, exchange, request);
  }
  switch (method) {
    case "GET":
    case "HEAD":
      return sendState(exchange, 204, repo, await hosted.uploadStatus({ repo, id }, ctx));
    case "DELETE":
      await hosted.cancelUpload({ repo, id }, ctx);
      return send(res, 204);
    case "PATCH":
      return continued(hosted, exchange, repo, id, async () =>
        sendState(exchange, 202, repo, await hosted.appendUpload({ repo, id, ...incoming(exchange) }, ctx)),
      );
    case "PUT": {
      const digest = parseDigest(request.digest ?? "");
      return continued(hosted, exchange, repo, id, async () => {
        await hosted.finishUpload({ repo, id, digest, ...incoming(exchange) }, ctx);
        sendBlob(exchange, repo, digest);
      });
    }
    default:
      throw unsupported(method, path);
  }
};

/** A chunk that does not belong where it was meant for: the client is told where the upload is (416, with its Range). */
const continued = async (
  hosted: Hosted,
  { res, ctx, outward }: Exchange,
  repo: Repository,
  id: string,
  work: () => Promise<void>,
): Promise<void> => {
  try {
    await work();
  } catch (error) {
    if (isOciError(error) && error.code === "BLOB_UPLOAD_INVALID") {
      const state = await hosted.uploadStatus({ repo, id }, ctx).catch(() => undefined);
      const headers = state === undefined ? [] : stateHeaders(outward, repo, state);
      for (let at = 0; at < headers.length; at += 2) res.setHeader(headers[at]!, headers[at + 1]!);
    }
    throw error;
  }
};

/** A mount where that can be, all at once where the digest is given, else an upload to be gone on with. */
const begin = async (hosted: Hosted, exchange: Exchange, request: WriteRequest): Promise<void> => {
  const { ctx } = exchange;
  const { repo, mount, from } = request;
  if (mount !== undefined) {
    const digest = parseDigest(mount);
    const source = from === undefined ? undefined : parseRepository(from);
    if (await hosted.mountBlob({ repo, digest, from: source }, ctx)) return sendBlob(exchange, repo, digest);
  }
  const digest = request.digest === undefined || mount !== undefined ? undefined : parseDigest(request.digest);
  const state = await hosted.openUpload({ repo, algorithm: algorithmFor(request.algorithm, digest) }, ctx);
  if (digest === undefined) return sendState(exchange, 202, repo, state);
  try {
    await hosted.finishUpload({ repo, id: state.id, digest, ...incoming(exchange) }, ctx);
  } catch (error) {
    // nobody has been told its name
    await hosted.cancelUpload({ repo, id: state.id }, ctx).catch(() => undefined);
    throw error;
  }
  sendBlob(exchange, repo, digest);
};

const algorithmFor = (named: string | undefined, digest: Digest | undefined): Algorithm | undefined => {
  const algorithm = named ?? digest?.split(":", 1)[0];
  return algorithm === "sha256" || algorithm === "sha512" ? algorithm : undefined;
};

const incoming = ({ req, res }: Exchange) => {
  const { "content-length": length, "content-range": range } = req.headers;
  return {
    body: requestBody(req, res),
    range: parseChunkRange(range),
    length: length === undefined ? (hasBody(req) ? undefined : 0) : Number(length),
  };
};

/** The rest of a body that is refused is read by nobody, so that its sender gets to read why (server.ts lets it linger for that). */
const endUnread = ({ req }: Exchange): void => {
  if (!req.complete) req.resume();
};

const sendBlob = ({ res, outward }: Exchange, repo: Repository, digest: Digest): void =>
  send(res, 201, ["location", outward(`/v2/${repo}/blobs/${digest}`), "docker-content-digest", digest]);

const sendState = ({ res, outward }: Exchange, status: number, repo: Repository, state: UploadState): void =>
  send(res, status, stateHeaders(outward, repo, state));

/** `Range` is inclusive, and of nothing there is no such range: registries say 0-0 for that too. */
const stateHeaders = (outward: Exchange["outward"], repo: Repository, { id, size }: UploadState): string[] => [
  ...["location", outward(`/v2/${repo}/blobs/uploads/${id}`)],
  ...["range", `0-${Math.max(0, size - 1)}`],
  ...["docker-upload-uuid", id],
];

const send = (res: ServerResponse, status: number, headers: readonly string[] = []): void => {
  const length = status === 204 ? [] : ["content-length", "0"];
  res.writeHead(status, ["docker-distribution-api-version", "registry/2.0", ...length, ...headers]).end();
};
