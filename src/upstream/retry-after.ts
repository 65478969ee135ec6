// `Retry-After` (RFC 9110 §10.2.3) as a time to wait: in seconds, as a date, or, as some rate limiters have it, as a Unix time.

/** Nobody is believed who wants to be left alone for longer. Milliseconds. */
export const MAX_RETRY_AFTER = 24 * 3_600_000;

/** More seconds than this (thirty years) are meant as a time since 1970. */
const UNIX_TIME = 946_684_800;

const MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec";
/** The one form of date that may be sent, IMF-fixdate; the obsolete two are not worth a guess. */
const DATE = new RegExp(`^\\w{3}, \\d{2} (?:${MONTHS}) \\d{4} \\d{2}:\\d{2}:\\d{2} GMT$`);

/** Milliseconds from `now` (ms since the epoch), 0 for what is over, at most MAX_RETRY_AFTER; `undefined` for what cannot be read. */
export const parseRetryAfter = (value: string | undefined, now: number): number | undefined => {
  const text = value?.trim() ?? "";
  const wait = waitOf(text, now);
  return Number.isNaN(wait) ? undefined : Math.min(MAX_RETRY_AFTER, Math.max(0, Math.ceil(wait)));
};

const waitOf = (text: string, now: number): number => {
  // a number with a fraction is not allowed, and is sent
  if (/^\d{1,15}(?:\.\d{1,9})?$/.test(text)) {
    const seconds = Number(text);
    return seconds > UNIX_TIME ? seconds * 1_000 - now : seconds * 1_000;
  }
  return DATE.test(text) ? Date.parse(text) - now : Number.NaN;
};
