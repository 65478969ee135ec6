// A small text at a URL, such as the keys that a registry checks tokens with: asked for as nobody in particular.
import { OciError } from "../oci/error.ts";
import { ownContext } from "../oci/own-context.ts";
import { readBounded } from "./body.ts";
import type { Transport } from "./transport.ts";

const MAX_BYTES = 1024 * 1024;

/** Throws UPSTREAM_UNREACHABLE, UPSTREAM_INVALID, or the signal's reason. */
export const readDocument = async (transport: Transport, url: URL, signal: AbortSignal): Promise<string> => {
  const { tally } = ownContext("document", signal);
  const answer = await transport.send({ method: "GET", url, kind: "token", headers: {}, signal, tally });
  const body = await readBounded(answer.body, MAX_BYTES);
  if (answer.status !== 200) throw new OciError("UPSTREAM_INVALID", `${url.host} answers ${answer.status}`);
  return body.toString();
};
