// Where Layover's own credentials for a site come from: as they were given, out of a file that somebody may replace, or from a program that is
// asked for them. What is asked for is kept for a while, asked for anew once upstream refuses it, and goes on being used while asking fails.
import { abortable, TimedOut, within } from "../lib/abort.ts";
import type { Logger } from "../lib/log.ts";
import { Seldom } from "../lib/seldom.ts";
import { FollowerError, SingleFlight } from "../lib/single-flight.ts";
import { readTextFile } from "../lib/text-file.ts";
import { isOciError, OciError } from "../oci/error.ts";
import type { OwnCredentials, SiteCredentials } from "../sites.ts";

export interface Credentials {
  /** What the origin is to be asked with. Throws UPSTREAM_UNREACHABLE where there are none to be had. */
  for(upstream: URL, signal: AbortSignal): Promise<OwnCredentials>;
  /** The origin has refused `used`: others, where there are others by now. */
  insteadOf(used: OwnCredentials, upstream: URL, signal: AbortSignal): Promise<OwnCredentials | undefined>;
}

export const fixed = (credentials: OwnCredentials): Credentials => ({
  for: () => Promise.resolve(credentials),
  insteadOf: () => Promise.resolve(undefined),
});

/** `now` in monotonic milliseconds. */
export const credentialsOf = (given: SiteCredentials, log: Logger, now = () => performance.now()): Credentials => {
  const { helper, passwordFile, tokenFile, ...initial } = given;
  if (helper !== undefined) {
    const ask: Ask = async (upstream, signal) => {
      // few need it, and it runs programs
      const { askHelper } = await import("./credential-helper.ts");
      return askHelper(helper, upstream, signal);
    };
    return new Renewed({ ask, keepFor: 300_000, askAgain: 10_000, initial: undefined, log, now });
  }
  const file = passwordFile ?? tokenFile;
  if (file === undefined) return fixed(initial);
  const ask: Ask = async () => ({
    ...initial,
    ...(passwordFile === undefined ? { token: await tokenIn(file) } : { password: await secretIn(file) }),
  });
  return new Renewed({ ask, keepFor: 5_000, askAgain: 1_000, initial, log, now });
};

/** A question waits for so much of a renewal of what is known already. Milliseconds. */
const PATIENCE = 1_000;
const MAX_SECRET = 16 * 1024;

/** Its error never holds anything of the file's. */
const secretIn = async (file: string): Promise<string> => {
  const fail = (why: string) => new OciError("UPSTREAM_UNREACHABLE", why);
  const text = await readTextFile(file, MAX_SECRET).catch((error: unknown) => {
    throw fail(`cannot read ${file}: ${(error as Error).message}`);
  });
  const secret = text.trim();
  if (secret === "") throw fail(`${file} is empty`);
  return secret;
};

/** As it stands in a header. */
const tokenIn = async (file: string): Promise<string> => {
  const token = await secretIn(file);
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new OciError("UPSTREAM_UNREACHABLE", `what ${file} holds is no token`);
};

type Ask = (upstream: URL, signal: AbortSignal) => Promise<OwnCredentials>;

interface RenewedOptions {
  readonly ask: Ask;
  /** Milliseconds. */
  readonly keepFor: number;
  /** After a failure, or for a refusal, no sooner than this. Milliseconds. */
  readonly askAgain: number;
  /** For every origin, until there is an answer. */
  readonly initial: OwnCredentials | undefined;
  readonly log: Logger;
  readonly now: () => number;
}

interface Held {
  credentials: OwnCredentials | undefined;
  failure: OciError | undefined;
  askedAt: number;
  freshUntil: number;
}

class Renewed implements Credentials {
  readonly #options: RenewedOptions;
  /** By origin, of which a site has a few. */
  readonly #held = new Map<string, Held>();
  readonly #asking = new SingleFlight<void>();
  readonly #failing = new Seldom();

  constructor(options: RenewedOptions) {
    this.#options = options;
  }

  async for(upstream: URL, signal: AbortSignal): Promise<OwnCredentials> {
    const held = this.#heldFor(upstream);
    if (this.#options.now() >= held.freshUntil) await this.#refresh(held, upstream, signal);
    if (held.credentials !== undefined) return held.credentials;
    throw held.failure ?? new OciError("UPSTREAM_UNREACHABLE", `there are no credentials for ${upstream.host}`);
  }

  async insteadOf(used: OwnCredentials, upstream: URL, signal: AbortSignal): Promise<OwnCredentials | undefined> {
    const held = this.#heldFor(upstream);
    const { now, askAgain } = this.#options;
    if (held.credentials === used && now() - held.askedAt >= askAgain) await this.#ask(held, upstream, signal);
    return held.credentials === undefined || isSame(held.credentials, used) ? undefined : held.credentials;
  }

  #heldFor({ origin }: URL): Held {
    const known = this.#held.get(origin);
    if (known !== undefined) return known;
    const { initial } = this.#options;
    const held = { credentials: initial, failure: undefined, askedAt: Number.NEGATIVE_INFINITY, freshUntil: 0 };
    this.#held.set(origin, held);
    return held;
  }

  /** What is known is good enough where asking takes its time: upstream says so when it is not. */
  async #refresh(held: Held, upstream: URL, signal: AbortSignal): Promise<void> {
    if (held.credentials === undefined) return this.#ask(held, upstream, signal);
    const asking = this.#ask(held, upstream, new AbortController().signal);
    await within(abortable(asking, signal), PATIENCE).catch((error: unknown) => {
      if (!(error instanceof TimedOut)) throw error;
    });
  }

  /** A failure is kept, not thrown; what the signal is aborted with is. */
  async #ask(held: Held, upstream: URL, signal: AbortSignal): Promise<void> {
    try {
      await this.#asking.run(upstream.origin, signal, (shared) => this.#renew(held, upstream, shared));
    } catch (error) {
      throw error instanceof FollowerError ? error.cause : error;
    }
  }

  async #renew(held: Held, upstream: URL, signal: AbortSignal): Promise<void> {
    const { ask, keepFor, askAgain, log, now } = this.#options;
    try {
      const credentials = await ask(upstream, signal);
      const isNew = held.credentials === undefined || !isSame(held.credentials, credentials);
      Object.assign(held, {
        credentials: isNew ? credentials : held.credentials,
        failure: undefined,
        freshUntil: now() + keepFor,
      });
    } catch (error) {
      if (signal.aborted || !isOciError(error)) throw error;
      Object.assign(held, { failure: error, freshUntil: now() + askAgain });
      const about = { upstream: upstream.origin, reason: error.message };
      this.#failing.tell((times) => log.warn({ ...about, times }, "credentials could not be read anew"));
    } finally {
      held.askedAt = now();
    }
  }
}

const isSame = (a: OwnCredentials, b: OwnCredentials): boolean =>
  a.username === b.username && a.password === b.password && a.token === b.token && a.identityToken === b.identityToken;
