// What an answer says of the budget of who asked: the Hub's `RateLimit-Remaining: 76;w=21600`, the earlier IETF drafts' bare numbers and
// `RateLimit: limit=100, remaining=5, reset=3`, the later ones' `RateLimit-Policy: "pulls";q=100;w=60` and `RateLimit: "pulls";r=5;t=3`.

export interface RateLimit {
  readonly limit: number | undefined;
  readonly remaining: number | undefined;
  /** Milliseconds after which what remains is no longer what was said. */
  readonly window: number | undefined;
  /** Whose budget it is: credentials with the same share one. */
  readonly source: string | undefined;
}

const MAX_WINDOW = 7 * 24 * 3_600_000;

/** Nothing is thrown, and nothing that cannot be is given, whatever is sent. */
export const parseRateLimit = (header: (name: string) => string | undefined): RateLimit => {
  const of = (name: string) => header(name)?.slice(0, 200) ?? "";
  const [combined, policy, remaining, limit] = [
    of("ratelimit"),
    of("ratelimit-policy"),
    of("ratelimit-remaining"),
    of("ratelimit-limit"),
  ];
  const seconds = parameter(remaining, "w") ?? parameter(limit, "w") ?? parameter(policy, "w") ?? parameter(combined, "reset|t");
  const source = of("docker-ratelimit-source");
  return {
    limit: leading(limit) ?? parameter(policy, "q") ?? parameter(combined, "limit") ?? leading(policy),
    remaining: leading(remaining) ?? parameter(combined, "remaining|r"),
    window: seconds === undefined ? undefined : Math.min(MAX_WINDOW, seconds * 1_000),
    source: /^[\x21-\x7e]+$/.test(source) ? source : undefined,
  };
};

/** At most nine digits: more is no count of requests. */
const leading = (text: string): number | undefined => countOf(/^\s*(\d{1,9})(?!\d)/.exec(text)?.[1]);

/** `names` are alternatives of a pattern. */
const parameter = (text: string, names: string): number | undefined =>
  countOf(new RegExp(`(?:^|[;,\\s])(?:${names})=(\\d{1,9})(?!\\d)`, "i").exec(text)?.[1]);

const countOf = (digits: string | undefined): number | undefined => (digits === undefined ? undefined : Number(digits));
