// One webhook: messages to it in their order, signed, tried three times, and never more of them waiting than there is room for. Nobody waits for
// it, and nothing that goes wrong with it touches a sync. Of its URL, which may be a secret, no more than the host is ever said.
import { createHmac } from "node:crypto";
import { pause, within } from "../lib/abort.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { Retry, type RetryOptions } from "../lib/retry.ts";
import { Seldom } from "../lib/seldom.ts";
import { readTextFile } from "../lib/text-file.ts";
import type { MirrorWebhook } from "../mirrors.ts";
import { isOciError } from "../oci/error.ts";
import type { Delivered } from "./counts.ts";
import type { MirrorMessage } from "./message.ts";

export interface Letter {
  readonly url: URL;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Follows no redirect. Throws OciError, or the signal's reason. */
export type Post = (
  letter: Letter,
  signal: AbortSignal,
) => Promise<{ readonly status: number; readonly retryAfterMs: number | undefined }>;

export interface WebhookParts {
  readonly post: Post;
  readonly counts: Delivered;
  readonly clock: Clock;
  readonly log: Logger;
  readonly retry?: RetryOptions;
}

const MAX_WAITING = 100;
const TRY_WITHIN = 10_000;
const MAX_SECRET = 64 * 1024;
/** For what waits when we close; each is tried once. Milliseconds. */
const CLOSE_WITHIN = 3_000;
const RETRY: RetryOptions = { attempts: 3, first: 2_000, most: 30_000, longest: 120_000 };

interface Failure {
  readonly why: string;
  readonly isLasting: boolean;
  readonly retryAfterMs?: number | undefined;
}

export class Webhook {
  readonly #hook: MirrorWebhook;
  readonly #parts: WebhookParts;
  readonly #waiting: MirrorMessage[] = [];
  readonly #full = new Seldom();
  /** Nothing is waited for any more. */
  readonly #closing = new AbortController();
  /** Nothing is tried any more. */
  readonly #cut = new AbortController();
  #work: Promise<void> | undefined;

  constructor(hook: MirrorWebhook, parts: WebhookParts) {
    this.#hook = hook;
    this.#parts = parts;
  }

  /** Where it wants to know of such an event. */
  send(message: MirrorMessage): void {
    if (!this.#hook.on.includes(message.event) || this.#closing.signal.aborted) return;
    if (this.#waiting.length >= MAX_WAITING) {
      this.#parts.counts.dropped += 1;
      this.#full.tell((times) =>
        this.#parts.log.error(
          { webhook: this.#hook.url.host, times },
          "webhook: too many messages wait for it: some are dropped",
        ),
      );
      return;
    }
    this.#waiting.push(message);
    this.#work ??= this.#deliverAll();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await within(this.#work ?? Promise.resolve(), CLOSE_WITHIN).catch(() => undefined);
    this.#cut.abort();
    await this.#work;
  }

  async #deliverAll(): Promise<void> {
    // whoever sends is not held up by it
    await Promise.resolve();
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) await this.#deliver(next);
    this.#work = undefined;
  }

  /** Never rejects. */
  async #deliver(message: MirrorMessage): Promise<void> {
    const { counts, log, retry: options = RETRY } = this.#parts;
    const { event, id, entry, run } = message;
    const about = { webhook: this.#hook.url.host, event, id, entry, run };
    const body = JSON.stringify(message);
    const retry = new Retry(options);
    for (let tries = 1; ; tries += 1) {
      const failure = await this.#try(body);
      if (failure === undefined) {
        counts.sent += 1;
        return log.debug({ ...about, tries }, "webhook: told");
      }
      const wait = failure.isLasting || this.#closing.signal.aborted ? undefined : retry.next(failure.retryAfterMs);
      if (wait === undefined) {
        counts.failed += 1;
        return log.error({ ...about, tries, why: failure.why }, "webhook: it could not be told");
      }
      await pause(wait, this.#closing.signal);
    }
  }

  async #try(body: string): Promise<Failure | undefined> {
    if (this.#cut.signal.aborted) return { why: "Layover is shutting down", isLasting: true };
    try {
      const headers = { "content-type": "application/json", ...(await this.#signature(body)) };
      const signal = AbortSignal.any([this.#cut.signal, AbortSignal.timeout(TRY_WITHIN)]);
      const { status, retryAfterMs } = await this.#parts.post({ url: this.#hook.url, headers, body }, signal);
      if (status >= 200 && status < 300) return undefined;
      const isLasting = status < 500 && status !== 429;
      return { why: `it answers ${status}${status < 400 ? ", and redirects are not followed" : ""}`, isLasting, retryAfterMs };
    } catch (error) {
      return { why: whyOf(error), isLasting: isOciError(error) && error.code === "LOOP_DETECTED" };
    }
  }

  /** Of what is sent and when, by a secret that may be changed at any time. Throws UnreadableFile: nothing goes out unsigned. */
  async #signature(body: string): Promise<Record<string, string>> {
    const timestamp = String(Math.floor(this.#parts.clock() / 1_000));
    const { secret, secretFile } = this.#hook;
    const key = secretFile === undefined ? secret : await secretIn(secretFile);
    if (key === undefined) return { "layover-timestamp": timestamp };
    return { "layover-timestamp": timestamp, "layover-signature": `sha256=${signatureOf(key, timestamp, body)}` };
  }
}

/** As whoever receives it reckons it too. */
export const signatureOf = (secret: string, timestamp: string, body: string): string =>
  createHmac("sha256", secret).update(`${timestamp}.${body}`).digest("hex");

const secretIn = async (file: string): Promise<string> => {
  const text = await readTextFile(file, MAX_SECRET).catch((error: Error) => {
    throw new Error(`its secret cannot be read: ${file} ${error.message}`, { cause: error });
  });
  if (text.trim() === "") throw new Error(`its secret cannot be read: ${file} is empty`);
  return text.trim();
};

const whyOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  return error.name === "TimeoutError" ? `it does not answer within ${TRY_WITHIN / 1_000} s` : error.message;
};
