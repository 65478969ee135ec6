// Something told to a server that somebody has named: the name looked up, the certificate checked and the way out taken as for an upstream.
import type { Clock } from "../lib/clock.ts";
import { basicCredential } from "../oci/basic.ts";
import { ownContext } from "../oci/own-context.ts";
import { drop } from "./body.ts";
import { parseRetryAfter } from "./retry-after.ts";
import type { Transport } from "./transport.ts";

export interface Posted {
  /** A name and password in it go as a header. */
  readonly url: URL;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Follows no redirect and tries nothing twice. Throws UPSTREAM_UNREACHABLE, LOOP_DETECTED, or the signal's reason; of the URL they say the host. */
export const post = async (
  transport: Transport,
  { url, headers, body }: Posted,
  signal: AbortSignal,
  clock: Clock,
): Promise<{ status: number; retryAfterMs: number | undefined }> => {
  const authorization = loginIn(url);
  const answer = await transport.send({
    ...{ method: "POST", kind: "question", url, body, signal, tally: ownContext("post", signal).tally },
    headers: { ...headers, ...(authorization !== undefined && { authorization }) },
  });
  drop(answer.body);
  return { status: answer.status, retryAfterMs: parseRetryAfter(answer.header("retry-after"), clock()) };
};

const loginIn = ({ username, password }: URL): string | undefined =>
  username === "" && password === "" ? undefined : basicCredential(decoded(username), decoded(password));

/** A URL may hold a `%` that encodes nothing. */
const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};
