// What an administrator's question fails of, and one table code → status. On the wire: {"error":{"code","message"}}.
import { isOciError } from "../oci/error.ts";

const STATUS = {
  INVALID: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NO_SUCH_PATH: 404,
  UNKNOWN_SITE: 404,
  NOT_HELD: 404,
  METHOD_NOT_ALLOWED: 405,
  TOO_SLOW: 408,
  BUSY: 409,
  HELD: 409,
  INCOMPLETE: 409,
  TOO_LARGE: 413,
  UNSUPPORTED_TYPE: 415,
  MISDIRECTED: 421,
  INTERNAL: 500,
  UPSTREAM: 502,
  UNAVAILABLE: 503,
  FULL: 507,
} as const;

export type AdminCode = keyof typeof STATUS;

export class AdminError extends Error {
  readonly code: AdminCode;

  constructor(code: AdminCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "AdminError";
    this.code = code;
  }

  get status(): number {
    return STATUS[this.code];
  }
}

export const isAdminCode = (code: string): code is AdminCode => Object.hasOwn(STATUS, code);

/** What upstream says of a client's rights or of the request is no word of this listener's on its own: it becomes 502, or NOT_HELD. */
export const asAdminError = (error: unknown): AdminError => {
  if (error instanceof AdminError) return error;
  if (!isOciError(error))
    return new AdminError("INTERNAL", error instanceof Error ? error.message : String(error), { cause: error });
  const message = `${error.code}: ${error.message}`;
  if (error.code === "STORE_FULL") return new AdminError("FULL", error.message, { cause: error });
  if (error.isUnknown) return new AdminError("NOT_HELD", message, { cause: error });
  return new AdminError(error.status === 400 ? "INVALID" : "UPSTREAM", message, { cause: error });
};
