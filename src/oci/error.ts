// One error class and one table code → status (OCI distribution-spec, "Error Codes"). HTTP is made of it in http/respond.ts alone.

/** Codes of the distribution-spec, then ours for what a proxy meets: an upstream that is away, lies, or a store that is ill, or full. */
const STATUS = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 416,
  BLOB_UPLOAD_UNKNOWN: 404,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 400,
  UNAUTHORIZED: 401,
  DENIED: 403,
  UNSUPPORTED: 405,
  TOOMANYREQUESTS: 429,
  RANGE_INVALID: 416,
  PAGINATION_NUMBER_INVALID: 400,
  TOO_LARGE: 413,
  MISDIRECTED: 421,
  UPSTREAM_INVALID: 502,
  UPSTREAM_UNREACHABLE: 503,
  UNAVAILABLE: 503,
  STORE_FULL: 507,
  LOOP_DETECTED: 508,
  UNKNOWN: 500,
} as const;

export type ErrorCode = keyof typeof STATUS;

/** What upstream itself said, bounded, to be given on as it is: the Hub's quota text, a challenge, 402, 451. */
export interface UpstreamAnswer {
  readonly status: number;
  /** Every `WWW-Authenticate` value, unchanged and in order. */
  readonly challenges: readonly string[];
  readonly contentType: string | undefined;
  /** At most 64 KiB. */
  readonly body: string;
  /** Seconds or an HTTP date, as upstream sent it. */
  readonly retryAfter: string | undefined;
}

export class OciError extends Error {
  readonly code: ErrorCode;
  readonly upstream: UpstreamAnswer | undefined;
  /** How long it is of no use to ask again, as far as upstream or we know. Milliseconds from when it was said, at most a day. */
  readonly retryAfterMs: number | undefined;
  readonly #challenge: string | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { upstream?: UpstreamAnswer; cause?: unknown; retryAfterMs?: number | undefined; challenge?: string } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "OciError";
    this.code = code;
    this.upstream = options.upstream;
    this.retryAfterMs = options.retryAfterMs;
    this.#challenge = options.challenge;
  }

  /** What a client is asked to log in with: `WWW-Authenticate`, upstream's or our own. */
  get challenges(): readonly string[] {
    return this.upstream?.challenges ?? (this.#challenge === undefined ? [] : [this.#challenge]);
  }

  /** The HTTP status that a client gets: upstream's own where there is one. */
  get status(): number {
    return this.upstream?.status ?? STATUS[this.code];
  }

  /** Upstream could not be asked, or could not answer: what is held may be served instead. 401, 403 and 404 are answers. */
  get isOutage(): boolean {
    return this.code === "UPSTREAM_UNREACHABLE" || this.code === "TOOMANYREQUESTS" || this.status >= 500;
  }

  /** Upstream refused this credential. */
  get isRefusal(): boolean {
    return this.code === "UNAUTHORIZED" || this.code === "DENIED";
  }

  /** Upstream (or the store) says that there is no such thing, which some registries also say of what one may not see. */
  get isUnknown(): boolean {
    return this.status === 404;
  }
}

/** The body of an error answer (distribution-spec, "Error Codes"). */
export const errorBody = (error: OciError): string =>
  JSON.stringify({ errors: [{ code: error.code, message: error.message, detail: null }] });

export const isOciError = (error: unknown): error is OciError => error instanceof OciError;
