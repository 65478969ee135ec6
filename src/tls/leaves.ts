// The leaves in use, by name: minted when first asked for, kept, renewed at two thirds of their life, and replaced when
// signing goes over to another root.
import { isIP } from "node:net";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Ca } from "./ca.ts";
import { isHostName } from "./host.ts";
import { type Leaf, mintLeaf } from "./leaf.ts";
import { anchorOf, endOf, isUnconstrained, type Root } from "./root.ts";

interface Shown {
  readonly leaf: Leaf;
  readonly issuer: Root;
  readonly context: SecureContext;
  readonly renewAt: number;
}

interface Leaves {
  /** Whether it can be shown without minting one. */
  has(name: string): boolean;
  /** The leaf for a plain name that may be shown. Throws Error when no root can sign for it now. */
  show(name: string): Shown;
}

interface LeavesOptions {
  /** Addresses that one name's leaf has besides, where its root has no constraints. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  readonly clock: Clock;
  readonly log: Logger;
}

// Far more than there are sites; a larger set still works, and mints again what fell out.
const MAX_NAMES = 1_000;

/**
 * Minting takes about a millisecond and waits for nothing, so any number of handshakes at once mint a name once. How many names there are is
 * the caller's to bound. Every leaf is logged.
 */
export const leavesOf = (ca: Ca, { addresses, clock, log }: LeavesOptions): Leaves => {
  const held = new LRUCache<string, Shown>({ max: MAX_NAMES });

  const mint = (name: string, now: number): Shown => {
    if (!isHostName(name) && isIP(name) === 0) throw new Error("no leaf is made for what is no exact name");
    const issuer = ca.issuerFor(name);
    if (issuer === undefined) throw new Error(`no root of the CA can sign for ${name}`);
    const besides = isUnconstrained(issuer) ? (addresses.get(name) ?? []) : [];
    const leaf = mintLeaf(issuer, [name, ...besides], now);
    const { serial, notAfter } = leaf;
    const root = anchorOf(issuer).certificate.fingerprint256;
    log.info({ host: name, serial, notAfter: new Date(notAfter).toISOString(), issuer: issuer.name, root }, "leaf minted");
    return { leaf, issuer, context: createSecureContext(contextOf(leaf)), renewAt: renewalOf(leaf, issuer, now) };
  };

  return {
    has: (name) => {
      const shown = held.get(name);
      return shown !== undefined && isFresh(shown, clock());
    },
    show: (name) => {
      const now = clock();
      const shown = held.get(name);
      if (shown !== undefined && isFresh(shown, now) && isStillIssuer(shown.issuer, ca.issuerFor(name))) return shown;
      const fresh = mint(name, now);
      held.set(name, fresh);
      return fresh;
    },
  };
};

/** The last leaf before its issuer's end is kept until then, as another would live no longer. */
const renewalOf = ({ notAfter }: Leaf, root: Root, now: number): number =>
  notAfter === endOf(root) ? notAfter : now + ((notAfter - now) * 2) / 3;

/** A clock that was set back makes a leaf that is not valid yet: as unfit as one that is due. */
const isFresh = ({ leaf, renewAt }: Shown, now: number): boolean => leaf.notBefore <= now && now < renewAt;

/** Signing has gone over to another root, or the files were changed under us. Where nobody can sign, what is there is shown to its end. */
const isStillIssuer = (issuer: Root, present: Root | undefined): boolean =>
  present === undefined || present.certificate.fingerprint256 === issuer.certificate.fingerprint256;

/** For Node's TLS. `ca: []`: clients show no certificates, so no roots to check them by are loaded. */
export const contextOf = ({ chain, key }: Leaf): SecureContextOptions => ({
  cert: chain,
  key: key.export({ type: "pkcs8", format: "pem" }),
  minVersion: "TLSv1.2",
  ca: [],
});
