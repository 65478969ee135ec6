// Who may ask: bearers of the token, through a program of their own. A browser that has been led here, by a page of another site or
// by a name that its attacker points at this address (DNS rebinding), may not, whatever it knows.
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";
import { AdminError } from "./error.ts";

export interface Guard {
  readonly token: string;
  /** Names besides `localhost` by which this listener may be called; any address may. */
  readonly names: readonly string[];
}

/** `host` is the parsed `Host`, without port. Throws MISDIRECTED, FORBIDDEN, UNAUTHORIZED. */
export const admit = ({ token, names }: Guard, host: string, headers: IncomingHttpHeaders): void => {
  if (isIP(host) === 0 && host !== "localhost" && !names.includes(host))
    throw new AdminError(
      "MISDIRECTED",
      `the admin listener is not called ${host.slice(0, 255) || "by a request without a Host"}`,
    );
  if (isCrossSite(headers)) throw new AdminError("FORBIDDEN", "no page of another site may ask here");
  if (!isSame(bearerIn(headers.authorization), token))
    throw new AdminError(
      "UNAUTHORIZED",
      "a token is needed, as `Authorization: Bearer …`: the one in the file admin.token of Layover's data folder",
    );
};

const isCrossSite = ({ host, origin, "sec-fetch-site": from }: IncomingHttpHeaders): boolean => {
  if (from !== undefined && from !== "same-origin" && from !== "none") return true;
  return origin !== undefined && origin !== `http://${host ?? ""}`;
};

const bearerIn = (authorization: string | undefined): string => /^bearer +(\S+)$/i.exec(authorization ?? "")?.[1] ?? "";

/** Takes the same time however much of it is right. */
const isSame = (given: string, token: string): boolean => timingSafeEqual(hashOf(given), hashOf(token));
const hashOf = (text: string): Buffer => createHash("sha256").update(text).digest();
