// The registry's endpoints over what it holds: reads, and the least of a push.
import type { IncomingMessage } from "node:http";
import { type Answer, answerWith, refuse } from "./answer.ts";
import { type Algorithm, type Content, digestOf, OCI_INDEX, type Repo } from "./content.ts";

const ROUTE = /^\/v2\/(.+)\/(manifests|blobs|tags|referrers)\/(uploads\/[^/]*|[^/]*)$/;

export interface Route {
  readonly repo: string;
  readonly noun: string;
  readonly last: string;
}

export const routeOf = (path: string): Route | undefined => {
  const [, repo, noun, last] = ROUTE.exec(path) ?? [];
  return repo === undefined ? undefined : { repo, noun: noun!, last: last! };
};

export const answerRead = (content: Content, { repo: name, noun, last }: Route, url: URL): Answer => {
  if (noun === "blobs" && last.startsWith("uploads/")) return statusOf(name, last);
  const repo = content.repos.get(name);
  if (repo === undefined) return refuse(404, "NAME_UNKNOWN");
  if (noun === "manifests") return manifestOf(repo, last);
  if (noun === "blobs") return blobOf(repo, last);
  return noun === "tags" ? tagsOf(name, repo, url) : referrersOf(repo, last, url);
};

/** `GET /v2/_catalog`, of all that anything was put into. */
export const answerCatalog = (content: Content, { searchParams }: URL): Answer => {
  const { page, next } = pageOf([...content.repos.keys()], searchParams);
  return answerWith(200, { repositories: page }, next === undefined ? {} : { link: `</v2/_catalog?${next}>; rel="next"` });
};

const manifestOf = (repo: Repo, reference: string): Answer => {
  const manifest = repo.manifests.get(reference.includes(":") ? reference : (repo.tags.get(reference) ?? ""));
  if (manifest === undefined) return refuse(404, "MANIFEST_UNKNOWN");
  return answerWith(200, manifest.bytes, { "content-type": manifest.mediaType, "docker-content-digest": manifest.digest });
};

const blobOf = (repo: Repo, digest: string): Answer => {
  const bytes = repo.blobs.get(digest);
  if (bytes === undefined) return refuse(404, "BLOB_UNKNOWN");
  const headers = { "content-type": "application/octet-stream", "docker-content-digest": digest, "accept-ranges": "bytes" };
  return answerWith(200, bytes, headers);
};

const tagsOf = (name: string, repo: Repo, { searchParams }: URL): Answer => {
  const { page, next } = pageOf([...repo.tags.keys()], searchParams);
  return answerWith(200, { name, tags: page }, next === undefined ? {} : { link: `</v2/${name}/tags/list?${next}>; rel="next"` });
};

const pageOf = (names: string[], query: URLSearchParams): { readonly page: string[]; readonly next: string | undefined } => {
  const after = query.get("last") ?? "";
  const n = Number(query.get("n") ?? Number.POSITIVE_INFINITY);
  const all = names.sort().filter((name) => name > after);
  const page = all.slice(0, n);
  return { page, next: all.length > page.length ? `last=${page.at(-1) ?? after}&n=${n}` : undefined };
};

const referrersOf = (repo: Repo, digest: string, { searchParams }: URL): Answer => {
  const type = searchParams.get("artifactType");
  const manifests = [...repo.manifests.values()].flatMap((held) => {
    const { subject, artifactType } = JSON.parse(held.bytes.toString()) as {
      subject?: { digest: string };
      artifactType?: string;
    };
    if (subject?.digest !== digest || (type !== null && type !== artifactType)) return [];
    return [{ mediaType: held.mediaType, digest: held.digest, size: held.bytes.length, artifactType }];
  });
  const filtered = type === null ? {} : { "oci-filters-applied": "artifactType" };
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
  return answerWith(200, index, { "content-type": OCI_INDEX, ...filtered });
};

/** PUT of a manifest moves its tag; blobs come whole, by POST with `digest`, or POST, PATCH and PUT. */
export const answerWrite = async (
  content: Content,
  { repo, noun, last }: Route,
  req: IncomingMessage,
  url: URL,
): Promise<Answer> => {
  const body = req.method === "PATCH" && content.keepsTornParts ? await readPart(content, last, req) : await read(req);
  if (req.method === "DELETE") return deleted(content, repo, noun, last);
  if (noun === "manifests") {
    const isDigest = last.includes(":");
    const type = req.headers["content-type"] ?? "";
    const { digest } = content.putManifest(
      repo,
      isDigest ? undefined : last,
      body,
      type,
      isDigest ? algorithmOf(last) : "sha256",
    );
    return answerWith(201, "", { location: `/v2/${repo}/manifests/${digest}`, "docker-content-digest": digest });
  }
  if (noun !== "blobs") return refuse(405, "UNSUPPORTED");
  const mounted = mountedOf(content, repo, url.searchParams);
  return mounted ?? uploaded(content, repo, last, body, url.searchParams.get("digest"));
};

/** A mount from where the blob is (end-11); from anywhere else it is an upload like any other. */
const mountedOf = (content: Content, repo: string, query: URLSearchParams): Answer | undefined => {
  const digest = query.get("mount") ?? "";
  const bytes = content.repos.get(query.get("from") ?? "")?.blobs.get(digest);
  if (bytes === undefined) return undefined;
  content.putBlob(repo, bytes, algorithmOf(digest));
  return answerWith(201, "", { location: `/v2/${repo}/blobs/${digest}`, "docker-content-digest": digest });
};

const uploads = new Map<string, Buffer>();
let nextUpload = 0;

/** How far it has come (end-13). */
const statusOf = (name: string, id: string): Answer => {
  const size = uploads.get(id)?.length;
  if (size === undefined) return refuse(404, "BLOB_UPLOAD_UNKNOWN");
  return answerWith(204, "", { location: `/v2/${name}/blobs/${id}?_state=a%2Fb`, range: `0-${Math.max(0, size - 1)}` });
};

/** What has come of a body stays, also where its connection is torn. */
const readPart = async (content: Content, id: string, req: IncomingMessage): Promise<Buffer> => {
  const [, start] = /^(\d+)-\d+$/.exec(req.headers["content-range"] ?? "") ?? [];
  const before = uploads.get(id) ?? Buffer.alloc(0);
  if (start !== undefined && Number(start) !== before.length) throw new Error("it does not go there");
  for await (const chunk of req as AsyncIterable<Buffer>) {
    const whole = Buffer.concat([uploads.get(id) ?? Buffer.alloc(0), chunk]);
    uploads.set(id, whole);
    if (content.tearUploadAt === undefined || whole.length < content.tearUploadAt) continue;
    content.tearUploadAt = undefined;
    req.socket.destroy();
  }
  return Buffer.alloc(0);
};

const uploaded = (content: Content, repo: string, last: string, body: Buffer, digest: string | null): Answer => {
  const id = last === "uploads/" ? `uploads/${++nextUpload}` : last;
  const whole = Buffer.concat([uploads.get(id) ?? Buffer.alloc(0), body]);
  if (digest === null) {
    uploads.set(id, whole);
    return answerWith(202, "", { location: `/v2/${repo}/blobs/${id}?_state=a%2Fb`, range: `0-${Math.max(0, whole.length - 1)}` });
  }
  uploads.delete(id);
  if (digestOf(whole, algorithmOf(digest)) !== digest) return refuse(400, "DIGEST_INVALID");
  content.putBlob(repo, whole, algorithmOf(digest));
  return answerWith(201, "", { location: `/v2/${repo}/blobs/${digest}`, "docker-content-digest": digest });
};

const deleted = (content: Content, repo: string, noun: string, last: string): Answer => {
  if (noun === "blobs") content.removeBlob(repo, last);
  else if (last.includes(":")) content.removeManifest(repo, last);
  else content.deleteTag(repo, last);
  return answerWith(202);
};

const algorithmOf = (digest: string): Algorithm => (digest.startsWith("sha512:") ? "sha512" : "sha256");

export const read = async (req: IncomingMessage): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
};
