// A write to a site's first upstream: one request and one answer, no redirect followed, and its Location believed only where it stays with
// what the site has configured: whoever is sent there gets our credentials and the bytes.
import type { Readable } from "node:stream";
import { isDigest } from "../oci/digest.ts";
import { type ErrorCode, OciError } from "../oci/error.ts";
import type { Repository } from "../oci/reference.ts";
import type { Context } from "../oci/registry.ts";
import type { Received } from "./transport.ts";
import { type AskingParts, askOne } from "./turn.ts";

export interface Written {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** A path, or a URL that a registry has given. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Made anew each time that it is sent, as after a challenge. */
  readonly body?: () => Promise<Readable | Buffer>;
  /** The statuses that are a success. */
  readonly expects: readonly number[];
  readonly scope: string;
  readonly unknown?: ErrorCode;
}

export interface Write {
  (written: Written, ctx: Context): Promise<Received>;
  /** Where uploads may lead. */
  readonly origins: ReadonlySet<string>;
}

export const writerOf = (parts: AskingParts): Write => {
  const origins = new Set(parts.upstreams.map(({ url }) => url.origin));
  const write = async (written: Written, ctx: Context): Promise<Received> => {
    const url = new URL(written.path, parts.upstreams[0]!.url);
    const upstream = parts.upstreams.find((one) => one.url.origin === url.origin)!;
    await upstream.breaker.reach(ctx.signal);
    const unknown = written.unknown ?? "BLOB_UPLOAD_UNKNOWN";
    return askOne(parts, upstream, { ...written, unknown, path: url.href, kind: "upload" }, ctx);
  };
  return Object.assign(write, { origins });
};

/** Said here, as an upload may go on under a path that names no repository. */
export const scopeOf = (repo: Repository): string => `repository:${repo}:pull,push`;

/** Relative to what was asked, or absolute. Throws UPSTREAM_INVALID. */
export const locationOf = (answer: Received, origins: ReadonlySet<string>): URL => {
  const location = answer.header("location");
  const url = location === undefined ? null : URL.parse(location, answer.url.href);
  if (url === null) throw new OciError("UPSTREAM_INVALID", `${answer.url.host} does not say where the upload goes on`);
  if (url.username !== "" || url.password !== "" || !origins.has(url.origin))
    throw new OciError(
      "UPSTREAM_INVALID",
      `${answer.url.host} leads uploads to ${url.origin}, which is no upstream of this site`,
    );
  return url;
};

/** Its query stays as it is (distribution-spec: the location must not be assembled by the client). */
export const withDigest = ({ href, search }: URL, digest: string): string =>
  `${href}${search === "" ? "?" : "&"}digest=${encodeURIComponent(digest)}`;

/** What a registry calls what it was given. */
export const checkDigest = (answer: Received, digest: string): void => {
  const claim = answer.header("docker-content-digest") ?? "";
  // one of another algorithm says nothing of this one
  if (!isDigest(claim) || claim.split(":")[0] !== digest.split(":")[0] || claim === digest) return;
  throw new OciError("UPSTREAM_INVALID", `${answer.url.host} was given ${digest} and calls it ${claim}`);
};
