// Clients that refuse what they are shown: the sign of a builder without the CA, or with a ca.crt from before a site was added.
import type { Server, TLSSocket } from "node:tls";
import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";

// Alerts of RFC 8446 6.2: unknown_ca, bad_certificate (Go's), certificate_unknown (Java's), certificate_expired.
const REFUSAL = /ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|CERTIFICATE_EXPIRED)$/;
const AGAIN_MS = 600_000;
const MAX_PAIRS = 1_000;

/** Logs it once in ten minutes for each client and name: a builder tries again and again. */
export const logDistrust = (server: Server, { clock, log }: { clock: Clock; log: Logger }): void => {
  const told = new LRUCache<string, number>({ max: MAX_PAIRS });
  server.on("tlsClientError", (error: NodeJS.ErrnoException, socket: TLSSocket & { readonly servername?: unknown }) => {
    const alert = REFUSAL.exec(error.code ?? "")?.[1]?.toLowerCase();
    if (alert === undefined) return;
    const client = socket.remoteAddress;
    const host = typeof socket.servername === "string" ? socket.servername : undefined;
    const pair = `${client} ${host}`;
    if (clock() - (told.get(pair) ?? Number.NEGATIVE_INFINITY) < AGAIN_MS) return;
    told.set(pair, clock());
    log.warn({ client, host, alert }, "a client does not trust the CA for this name: give it the present ca.crt");
  });
};
