// What each client is shown: a leaf for the exact name that it asks for, if that is one of ours, and the own name's for those that ask for none.
import { constants } from "node:crypto";
import { Socket } from "node:net";
import type { Server, TLSSocket, TlsOptions } from "node:tls";
import type { Clock } from "../lib/clock.ts";
import { plainHost } from "../lib/host-name.ts";
import type { Logger } from "../lib/log.ts";
import { Seldom } from "../lib/seldom.ts";
import { INTERNAL_ERROR, UNRECOGNISED_NAME } from "../lib/tls-alert.ts";
import type { Ca } from "./ca.ts";
import { logDistrust } from "./distrust.ts";
import type { Leaf } from "./leaf.ts";
import { contextOf, leavesOf } from "./leaves.ts";
import { Mints } from "./mints.ts";

export interface SecureContextOptions {
  /** Whether a name, in plain form, is one that is stood in for. */
  readonly allowed: (name: string) => boolean;
  /** Whether it is so by a wildcard: then clients choose what there is to mint, and get so many names a second. */
  readonly isOfMany?: (name: string) => boolean;
  /** Shown to clients that name no host: those that come by address, or are old. Always allowed. */
  readonly ownName: string;
  /** Added to the own name's leaf, where its root has no constraints. */
  readonly ownAddresses?: readonly string[];
  readonly clock: Clock;
  /** Milliseconds that no clock changes. */
  readonly monotonic?: () => number;
  readonly log: Logger;
}

export interface SecureContexts {
  /** For `tls.createServer` and `https.createServer`: spread, with nothing of it overridden. */
  readonly options: TlsOptions;
  /** To be called once, before the server listens: what clients without SNI are shown is renewed too, and clients' refusals are logged. */
  readonly follow: (server: Server) => void;
}

/** The client asked for a host that is no site (RFC 6066 3). */
class UnrecognisedName extends Error {
  constructor(name: string) {
    super(`${name} is no site`);
    this.name = "UnrecognisedName";
  }
}

const HANDSHAKE_MS = 10_000;

// No tickets, so no resumption: OpenSSL chooses no certificate when it resumes a session, and a name that is no site, or that has ceased to be one,
// would pass without a look. Go's clients keep no sessions anyway, and a whole handshake costs about a millisecond. No renegotiation either.
const SECURE_OPTIONS = constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION;

/** Throws Error when the own name cannot be shown, which is a CA that was opened without it. */
export const secureContexts = (ca: Ca, options: SecureContextOptions): SecureContexts => {
  const { allowed, isOfMany = () => false, clock, log } = options;
  const mints = new Mints(options.monotonic);
  const tooMany = new Seldom(options.monotonic);
  const ownName = plainHost(options.ownName);
  const leaves = leavesOf(ca, { addresses: new Map([[ownName, options.ownAddresses ?? []]]), clock, log });
  const own = (): Leaf => leaves.show(ownName).leaf;

  const answer: NonNullable<TlsOptions["SNICallback"]> = function (this: TLSSocket | undefined, asked, done) {
    const name = plainHost(asked);
    if (name !== ownName && !allowed(name)) {
      log.debug({ host: name }, "TLS for a name that is no site: refused");
      sendAlert(this, UNRECOGNISED_NAME, () => done(new UnrecognisedName(name)));
      return;
    }
    if (isOfMany(name) && !leaves.has(name) && !mints.take(this?.remoteAddress ?? "")) {
      tooMany.tell((times) =>
        log.warn({ host: name, client: this?.remoteAddress, times }, "too many new names below a wildcard: further ones wait"),
      );
      sendAlert(this, INTERNAL_ERROR, () => done(new Error("too many names at once")));
      return;
    }
    const shown = attempt(() => leaves.show(name), name, log);
    if (shown instanceof Error) done(shown);
    else done(null, shown.context);
  };

  const first = own();
  const renewDefault = (server: Server): void => {
    let leaf = first;
    // Before Node's own listener, which takes the context that the server has at that moment: no timer is needed.
    server.prependListener("connection", () => {
      const due = attempt(own, ownName, log);
      if (due instanceof Error || due === leaf) return;
      leaf = due;
      server.setSecureContext({ ...contextOf(leaf), secureOptions: SECURE_OPTIONS });
    });
  };

  return {
    options: { ...contextOf(first), secureOptions: SECURE_OPTIONS, handshakeTimeout: HANDSHAKE_MS, SNICallback: answer },
    follow: (server) => {
      renewDefault(server);
      logDistrust(server, { clock, log });
    },
  };
};

/** Thrown out of a TLS callback an error would end the process. */
const attempt = <T>(show: () => T, host: string, log: Logger): T | Error => {
  try {
    return show();
  } catch (error) {
    log.error({ host, reason: (error as Error).message }, "no certificate can be shown");
    return error as Error;
  }
};

/** The connection under a TLS socket is not documented: where it is not to be had, it is cut without a word. */
const sendAlert = (socket: TLSSocket | undefined, alert: Buffer, done: () => void): void => {
  const under = (socket as { readonly _parent?: unknown } | undefined)?._parent;
  if (under instanceof Socket && under.writable) under.write(alert, () => done());
  else done();
};
