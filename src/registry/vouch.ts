// Checks a bearer JWT as the registry itself does: signature, time, audience, access. What a token says of keys is never believed: it may
// name one of ours, or show a certificate that one of ours has signed. A token that is not right is upstream's to judge, like any other.
import { X509Certificate } from "node:crypto";
import type { errors, JWTHeaderParameters, JWTPayload } from "jose";
import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import { upTo } from "../lib/lru.ts";
import { algorithmsOf, type PublicKey, type PublicKeys, SIGNATURE_ALGORITHMS } from "../lib/public-keys.ts";
import type { Credential } from "../oci/registry.ts";
import { expiryOf, keyedHash, pullsIn } from "./subject.ts";
import type { TokenKeys } from "./token-keys.ts";

/** What a token that is right says. Times in ms since the epoch. */
export interface Vouched {
  /** Of its issuer and subject. */
  readonly subject: string;
  /** Names of the repositories that it may pull from. */
  readonly pulls: ReadonlySet<string>;
  /** When it was found to be right. */
  readonly since: number;
  readonly from: number;
  readonly until: number;
}

export interface Voucher {
  /** `hash` is the credential's. `undefined`: it is not known to be right. */
  peek(hash: string): Vouched | undefined;
  check(credential: Credential, hash: string): Promise<Vouched | undefined>;
}

export interface VoucherOptions {
  readonly keys: TokenKeys;
  /** The service that tokens are to be for; `undefined`: nobody knows, so that none is right. */
  readonly audience: () => Promise<string | undefined>;
  /** The secret under which subjects are hashed. */
  readonly secret: Uint8Array;
  readonly clock: Clock;
}

/** Between the token server's clock and ours, as registries allow it; an end is an end, though. */
const LEEWAY_S = 60;
const MAX_TOKEN = 16 * 1024;
const MAX_REMEMBERED = 50_000;
/** Keys that one token is tried against; and certificates that it may show. */
const MAX_TRIES = 8;

/** A token that is signed, but not right, is looked at again after this: it may not be so yet. Milliseconds. */
const AGAIN_AFTER = 30_000;

interface Verdict {
  readonly vouched: Vouched | undefined;
  /** Of the keys by which it was found. */
  readonly generation: number;
  readonly at: number;
}

export const voucher = ({ keys, audience, secret, clock }: VoucherOptions): Voucher => {
  // a token with many repositories takes as much room as many tokens
  const verdicts = new LRUCache<string, Verdict>({
    ...upTo(MAX_REMEMBERED),
    sizeCalculation: ({ vouched }) => 1 + (vouched?.pulls.size ?? 0),
  });
  const running = new Map<string, Promise<Vouched | undefined>>();

  const known = (hash: string): Verdict | undefined => {
    const verdict = verdicts.get(hash);
    return verdict?.generation === keys.now().generation ? verdict : undefined;
  };
  const examine = async (token: string, hash: string): Promise<Vouched | undefined> => {
    const service = await audience();
    if (service === undefined) return undefined;
    const at = clock();
    const checks = { audience: service, currentDate: new Date(at), clockTolerance: LEEWAY_S };
    const { payload, generation } = await verified(token, keys, checks);
    const vouched = payload && vouchedBy(payload, secret, at);
    verdicts.set(hash, { vouched, generation, at });
    return vouched;
  };
  return {
    peek: (hash) => known(hash)?.vouched,
    async check(credential, hash) {
      const verdict = known(hash);
      if (verdict?.vouched !== undefined) return verdict.vouched;
      if (verdict !== undefined && Math.abs(clock() - verdict.at) < AGAIN_AFTER) return undefined;
      const token = tokenIn(credential);
      if (token === undefined || (expiryOf(credential) ?? 0) <= clock()) return undefined;
      const examining = running.get(hash) ?? examine(token, hash).finally(() => running.delete(hash));
      running.set(hash, examining);
      return examining;
    },
  };
};

const tokenIn = (credential: Credential): string | undefined =>
  credential.length > MAX_TOKEN ? undefined : /^bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(credential)?.[1];

const vouchedBy = (payload: JWTPayload, secret: Uint8Array, now: number): Vouched | undefined => {
  const { iss = "", sub = "", exp, nbf = 0, iat = 0 } = payload;
  if (exp === undefined || typeof iss !== "string" || typeof sub !== "string") return undefined;
  const pulls = new Set(pullsIn(payload["access"]));
  const from = (Math.max(nbf, iat) - LEEWAY_S) * 1_000;
  const until = exp * 1_000;
  if (now < from || now >= until) return undefined;
  return { subject: keyedHash(`token\n${JSON.stringify([iss, sub])}`, secret), pulls, since: now, from, until };
};

interface Checks {
  readonly audience: string;
  readonly currentDate: Date;
  readonly clockTolerance: number;
}

/** With newer keys where those at hand do not fit. */
const verified = async (
  token: string,
  keys: TokenKeys,
  checks: Checks,
): Promise<{ readonly payload: JWTPayload | undefined; readonly generation: number }> => {
  const first = await keys.get();
  const outcome = await verifiedBy(token, first.keys, checks);
  if (outcome !== "forged") return { payload: outcome, generation: first.generation };
  const second = await keys.renew();
  const again = second.generation === first.generation ? outcome : await verifiedBy(token, second.keys, checks);
  return { payload: again === "forged" ? undefined : again, generation: second.generation };
};

/** `forged`: none of these keys has signed it. `undefined`: it is signed, but not right, or not now. */
const verifiedBy = async (
  token: string,
  keys: PublicKeys | undefined,
  checks: Checks,
): Promise<JWTPayload | "forged" | undefined> => {
  const header = headerOf(token);
  if (header === undefined) return "forged";
  // few sites have keys, and it is 5 MB
  const { jwtVerify } = await import("jose/jwt/verify");
  for (const { key } of candidates(header, keys, checks.currentDate.getTime()).slice(0, MAX_TRIES)) {
    try {
      const { payload } = await jwtVerify(token, key, {
        ...checks,
        algorithms: [...SIGNATURE_ALGORITHMS],
        requiredClaims: ["exp"],
      });
      return payload;
    } catch (error) {
      if ((error as Partial<errors.JOSEError>).code !== "ERR_JWS_SIGNATURE_VERIFICATION_FAILED") return undefined;
    }
  }
  return "forged";
};

const headerOf = (token: string): JWTHeaderParameters | undefined => {
  try {
    const header: unknown = JSON.parse(Buffer.from(token.slice(0, token.indexOf(".")), "base64url").toString());
    return typeof header === "object" && header !== null && !Array.isArray(header) ? (header as JWTHeaderParameters) : undefined;
  } catch {
    return undefined;
  }
};

/**
 * Of our keys those that the token may mean: by the certificate that it shows, else by name, else those that have none. `jwk`, `jku` and
 * `x5u` are not looked at.
 */
const candidates = (header: JWTHeaderParameters, keys: PublicKeys | undefined, now: number): Pick<PublicKey, "key">[] => {
  const { alg, kid } = header;
  if (keys === undefined || typeof alg !== "string" || !SIGNATURE_ALGORITHMS.includes(alg)) return [];
  const shown = shownKey(header.x5c, keys.certificates, now);
  if (shown !== undefined && algorithmsOf(shown.key).includes(alg)) return [shown];
  const fitting = keys.keys.filter(({ algorithms }) => algorithms.includes(alg));
  const named = typeof kid === "string" ? fitting.filter(({ ids }) => ids.has(kid)) : [];
  if (named.length > 0) return named;
  return typeof kid === "string" ? fitting.filter(({ isNamed }) => !isNamed) : fitting;
};

/** The key of the first certificate, if one of ours is that very certificate, or has signed it, directly or by way of the others. */
const shownKey = (x5c: unknown, ours: readonly X509Certificate[], now: number): Pick<PublicKey, "key"> | undefined => {
  if (ours.length === 0 || !Array.isArray(x5c) || x5c.length === 0 || x5c.length > MAX_TRIES) return undefined;
  try {
    const [leaf, ...between] = x5c.map((der) => new X509Certificate(Buffer.from(String(der), "base64")));
    return leadsTo(leaf!, between, ours, now) ? { key: leaf!.publicKey } : undefined;
  } catch {
    return undefined;
  }
};

/** RFC 5280 §6.1 as far as it concerns signing keys; each step uses one certificate up, so that it ends. */
const leadsTo = (
  certificate: X509Certificate,
  between: readonly X509Certificate[],
  ours: readonly X509Certificate[],
  now: number,
): boolean => {
  if (!isValid(certificate, now)) return false;
  if (ours.some(({ raw }) => raw.equals(certificate.raw))) return true;
  if (ours.some((one) => isValid(one, now) && hasSigned(one, certificate))) return true;
  const next = between.find((one) => hasSigned(one, certificate));
  return (
    next !== undefined &&
    leadsTo(
      next,
      between.filter((one) => one !== next),
      ours,
      now,
    )
  );
};

const isValid = ({ validFromDate, validToDate }: X509Certificate, now: number): boolean =>
  validFromDate.getTime() <= now && now <= validToDate.getTime();

const hasSigned = (issuer: X509Certificate, certificate: X509Certificate): boolean =>
  issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
