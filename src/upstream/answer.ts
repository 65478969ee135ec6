// What every kind of answer has: a length, metadata that the client may see, and ways of being wrong.
import { OciError } from "../oci/error.ts";
import { bareType } from "../oci/media.ts";
import type { Metadata } from "../oci/registry.ts";
import { drop } from "./body.ts";
import type { Received } from "./transport.ts";

/** How every answer of this layer came about. */
export const MISS = { source: "miss" } as const;

/** Ends the body; to be thrown. */
export const invalid = (answer: Received, what: string): OciError => {
  drop(answer.body);
  return new OciError("UPSTREAM_INVALID", `what ${answer.url.host} sends cannot be right: ${what}`);
};

/** In lower case, without parameters; empty where upstream says none. Throws UPSTREAM_INVALID for a web page: a captive portal, or a proxy's words. */
export const typeOf = (answer: Received): string => {
  const type = bareType(answer.header("content-type") ?? "");
  if (type === "text/html") throw invalid(answer, "it is an HTML page");
  return type;
};

export const lengthOf = (answer: Received): number | undefined => {
  const length = answer.header("content-length");
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
};

const RATE_LIMIT = ["ratelimit-limit", "ratelimit-remaining", "docker-ratelimit-source"];

export const metadataOf = (answer: Received): Metadata => {
  const rateLimit = Object.fromEntries(
    RATE_LIMIT.flatMap((name) =>
      answer
        .headers(name)
        .slice(0, 1)
        .map((value) => [name, value] as const),
    ),
  );
  const warnings = answer.headers("warning").filter((value) => value.startsWith("299 "));
  return { ...(Object.keys(rateLimit).length === 0 ? {} : { rateLimit }), ...(warnings.length === 0 ? {} : { warnings }) };
};
