// What an upstream's answer that is no success means, with its own words kept for the client.

import type { Clock } from "../lib/clock.ts";
import { type ErrorCode, OciError, type UpstreamAnswer } from "../oci/error.ts";
import { parseObject } from "../oci/json.ts";
import { readUpTo } from "./body.ts";
import { parseRetryAfter } from "./retry-after.ts";
import type { Received } from "./transport.ts";

const MAX_WORDS = 64 * 1024;

/** Reads and ends the body. `unknown` is the code for a 404 here; `asked` is the origin that the credential was for; dates are held against `clock`. */
export const refusalOf = async (answer: Received, unknown: ErrorCode, asked: URL, clock: Clock): Promise<OciError> => {
  const { bytes } = await readUpTo(answer.body, MAX_WORDS).catch(() => ({ bytes: Buffer.alloc(0) }));
  const upstream: UpstreamAnswer = {
    status: answer.status,
    challenges: answer.headers("www-authenticate"),
    contentType: answer.header("content-type"),
    body: bytes.toString("utf8"),
    retryAfter: answer.header("retry-after"),
  };
  const retryAfterMs = parseRetryAfter(upstream.retryAfter, clock());
  const message = `${answer.url.host} answers ${answer.status}`;
  // a captive portal or a proxy on the way says nothing about the registry that a client could use
  if (answer.status < 400) return new OciError("UPSTREAM_INVALID", message, { retryAfterMs });
  // whoever we were redirected to knows nothing of the client's rights: a signature has run out, or a clock is wrong
  const isElsewhere = answer.url.origin !== asked.origin;
  if (isElsewhere && EXPIRED.has(answer.status)) return new OciError("UPSTREAM_UNREACHABLE", message, { retryAfterMs });
  return new OciError(codeOf(answer.status, saysNoName(bytes) ? "NAME_UNKNOWN" : unknown), message, { upstream, retryAfterMs });
};

/** S3 says 400 (ExpiredToken) where others say 401 or 403. */
const EXPIRED = new Set([400, 401, 403]);

const saysNoName = (bytes: Buffer): boolean => {
  const errors = parseObject(bytes)?.["errors"];
  return Array.isArray(errors) && (errors[0] as { code?: unknown } | null | undefined)?.code === "NAME_UNKNOWN";
};

const codeOf = (status: number, unknown: ErrorCode): ErrorCode => {
  if (status === 401) return "UNAUTHORIZED";
  if (status === 403) return "DENIED";
  if (status === 404) return unknown;
  if (status === 416) return "RANGE_INVALID";
  if (status === 429) return "TOOMANYREQUESTS";
  return status >= 500 ? "UPSTREAM_INVALID" : "UNSUPPORTED";
};
