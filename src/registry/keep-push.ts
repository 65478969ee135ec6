// What goes by on its way upstream, listened to beside the stream and kept once upstream has taken it: blobs in whatever parts they come, and
// manifests. The digest decides what it is, upstream's 201 that it is there; a link is made of both, a grant of neither (it shows no right to read).
import { Places } from "../lib/places.ts";
import { type Algorithm, algorithmOf, isDigest } from "../oci/digest.ts";
import type { Repository } from "../oci/reference.ts";
import type { OciRequest, WriteRequest } from "../oci/request.ts";
import type { Site } from "../sites.ts";
import { Beside, Waiting } from "./beside.ts";
import { Deletes } from "./deletes.ts";
import { watchManifest } from "./keep-pushed-manifest.ts";
import { type KeepPushParts, linkPushed, type Push, type Pushed, type Watch } from "./pushed.ts";
import { type Upload, UploadsSeen, uploadKey } from "./uploads-seen.ts";

/** Uploads that are kept track of at once, and bytes of them that wait for the disk in memory. */
const PLACES = { perClient: 64, inAll: 256 };
const MOST_WAITING = 64 * 1024 * 1024;

export interface PushesUnderWay extends Pick<KeepPushParts, "uploads" | "places" | "waiting" | "deletes"> {
  close(): Promise<void>;
}

/** For all sites together. */
export const pushesUnderWay = (now = () => performance.now()): PushesUnderWay => {
  const places = new Places(PLACES);
  const uploads = new UploadsSeen(places, now);
  return { places, waiting: new Waiting(MOST_WAITING), uploads, deletes: new Deletes(), close: () => uploads.close() };
};

/** A blob that comes whole with the first request is kept up to this size: nobody has said yet that this client may push. Bytes. */
const MOST_UNASKED = 64 * 1024 * 1024;

/** `undefined`: there is nothing to be kept. */
export const watchPush = (parts: KeepPushParts, push: Push, request: OciRequest): Watch | undefined => {
  const { method } = push;
  if (request.kind === "write" && request.what === "manifest")
    return method === "PUT" ? watchManifest(parts, push, request) : undefined;
  if (method === "POST" && request.kind === "write" && request.what === "upload") return watchBegin(parts, push, request);
  if (method === "PATCH" || method === "PUT" || method === "DELETE") return watchPart(parts, push);
  return undefined;
};

/** End-4a, 4b and 11: an upload begins, or is all there is of it, or nothing has to be uploaded. */
const watchBegin = (parts: KeepPushParts, push: Push, request: WriteRequest): Watch => {
  const { repo, digest, mount, algorithm } = request;
  const beside = digest === undefined ? undefined : wholeBeside(parts, push, digest);
  const { moment } = parts.deletes;
  let [isEmpty, isOver] = [true, false];
  return {
    offer(bytes) {
      isEmpty = false;
      beside?.offer(bytes);
    },
    async over(pushed) {
      if (isOver) return undefined;
      isOver = true;
      if (beside !== undefined) parts.places.takeBack(push.client);
      const isKept = beside !== undefined && (await keepBlob(parts, { repo, beside, digest, moment }, pushed));
      if (!isKept) beside?.drop(new Error(`upstream answers ${pushed?.status}`));
      if (pushed?.status === 201 && mount !== undefined) await linkMounted(parts, { repo, mount, moment }, pushed);
      if (pushed?.status === 202 && isEmpty) begun(parts, push, repo, algorithm, pushed);
      return undefined;
    },
  };
};

const wholeBeside = (parts: KeepPushParts, { client, length }: Push, digest: string): Beside | undefined => {
  if (!isDigest(digest) || length === undefined || length > MOST_UNASKED || !parts.places.admit(client)) return undefined;
  return besideOf(parts, algorithmOf(digest));
};

/** Nothing is promised to it beforehand: what it announces shall not make others go, only what it brings. */
const besideOf = ({ blobs, waiting, log, site }: KeepPushParts, algorithm: Algorithm): Beside =>
  new Beside({ stage: () => blobs.stage(undefined, algorithm), waiting, log: log.child({ site: site.host }) });

const begun = (
  parts: KeepPushParts,
  { client, target }: Push,
  repo: Repository,
  algorithm = "sha256",
  { location }: Pushed,
): void => {
  const key = location === undefined ? undefined : uploadKey(parts.site, location, target);
  if (key === undefined || (algorithm !== "sha256" && algorithm !== "sha512")) return;
  parts.uploads.begin(key, { repo, client, beside: besideOf(parts, algorithm) });
};

/** End-5, 6 and 13: an upload goes on, ends, or is given up. */
const watchPart = (parts: KeepPushParts, push: Push): Watch | undefined => {
  const { site, uploads } = parts;
  const key = uploadKey(site, push.target);
  const upload = key === undefined ? undefined : uploads.take(key);
  if (key === undefined || upload === undefined) return undefined;
  const { beside, repo } = upload;
  const { moment } = parts.deletes;
  const start = beside.size;
  const isAppended = appends(push, start);
  return {
    offer(bytes) {
      if (isAppended) beside.offer(bytes);
    },
    async over(pushed) {
      const isTaken = isAppended && pushed?.isWhole === true && cameWhole(push, beside.size - start);
      if (isTaken && push.method === "PUT" && pushed.status === 201) {
        const digest = new URL(push.target, `https://${site.host}`).searchParams.get("digest") ?? undefined;
        const isKept = await keepBlob(parts, { repo, beside, digest, moment }, pushed);
        uploads.end(key, isKept ? undefined : new Error("it is not what upstream has taken"));
        return undefined;
      }
      const next = isTaken && push.method === "PATCH" ? nextOf(site, push, key, upload, pushed) : undefined;
      const isUntouched = beside.size === start && pushed !== undefined && REFUSED.has(pushed.status);
      if (next !== undefined || isUntouched) uploads.giveBack(key, upload, next ?? key);
      else uploads.end(key, new Error(`${push.method} was answered ${pushed?.status ?? "by nobody"}`));
      return undefined;
    },
  };
};

/** Nothing has been taken, and the client may come again with the same part. */
const REFUSED = new Set([401, 403, 429]);

/** `Content-Range` is `start-end`, both inclusive (distribution-spec, "Pushing a blob in chunks"). */
const appends = ({ contentRange, length }: Push, start: number): boolean => {
  if (contentRange === undefined) return true;
  const [, first, last] = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/.*)?$/.exec(contentRange) ?? [];
  return Number(first) === start && (length === undefined || Number(last) - start + 1 === length);
};

const cameWhole = ({ contentRange, length }: Push, came: number): boolean => {
  if (length !== undefined) return came === length;
  const [, first, last] = /(\d{1,15})-(\d{1,15})/.exec(contentRange ?? "") ?? [];
  return first === undefined || Number(last) - Number(first) + 1 === came;
};

/** Where the next part comes to; `undefined` where upstream has not taken this one as it was appended here. */
const nextOf = (
  site: Site,
  { target }: Push,
  key: string,
  { beside }: Upload,
  { status, location, range }: Pushed,
): string | undefined => {
  if (status !== 202) return undefined;
  const end = /^(?:bytes[ =])?0-(\d{1,15})$/.exec(range ?? "")?.[1];
  if (end !== undefined && Number(end) !== Math.max(0, beside.size - 1)) return undefined;
  return location === undefined ? key : uploadKey(site, location, target);
};

interface WholeBlob {
  readonly repo: Repository;
  readonly beside: Beside;
  readonly digest: string | undefined;
  readonly moment: number;
}

const keepBlob = async (
  parts: KeepPushParts,
  { repo, beside, digest, moment }: WholeBlob,
  pushed: Pushed | undefined,
): Promise<boolean> => {
  if (pushed?.status !== 201 || !pushed.isWhole || digest === undefined || !isDigest(digest)) return false;
  if ((pushed.digest ?? digest) !== digest || !(await beside.keep(digest))) return false;
  await linkPushed(parts, { repo, digest }, undefined, moment);
  return true;
};

/**
 * Upstream has said yes to this credential, and of what: it may have read the request otherwise than we do, and taken something else
 * (the reference implementation reads a form in the body before the query), which must not be a way to what others hold.
 */
const linkMounted = async (
  parts: KeepPushParts,
  { repo, mount, moment }: { readonly repo: Repository; readonly mount: string; readonly moment: number },
  pushed: Pushed,
): Promise<void> => {
  if (!isDigest(mount) || (pushed.digest ?? blobIn(pushed.location)) !== mount) return;
  const isHeld = await parts.blobs.stat(mount).catch(() => undefined);
  if (isHeld !== undefined) await linkPushed(parts, { repo, digest: mount }, undefined, moment);
};

/** The digest in a Location like `/v2/<name>/blobs/<digest>`. */
const blobIn = (location = ""): string | undefined => /\/blobs\/([^/?#]+)(?:[?#]|$)/.exec(location)?.[1]?.replace(/%3a/i, ":");
