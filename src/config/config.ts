// The effective configuration: everything defaulted, parsed and absolute; what the rest of the program reads.
import type { Answers } from "../lib/answers.ts";
import type { Address } from "../lib/listen.ts";
import type { LogOptions } from "../lib/log.ts";
import type { MirrorConfig, MirrorWebhook } from "../mirrors.ts";
import type { Site } from "../sites.ts";

export interface Split {
  /** In lower case. */
  readonly zone: string;
  /** As `resolvers`. */
  readonly resolvers: readonly string[];
}

export interface Config extends Answers {
  /** The file that was read, if any. */
  readonly file: string | undefined;
  /** What is odd but no error; to be logged at start. */
  readonly warnings: readonly string[];
  /** An empty list turns a door off. */
  readonly listen: {
    readonly dns: readonly Address[];
    readonly https: readonly Address[];
    readonly http: readonly Address[];
    readonly proxy: readonly Address[];
    readonly admin: Address | undefined;
  };
  /** Layover's own names, in lower case. */
  readonly names: readonly string[];
  /** For `parsePrefixes`. */
  readonly hijackFor: readonly string[];
  /** For `parseResolver`, at least one. */
  readonly resolvers: readonly string[];
  /** In their place for names at and under `zone`. Each zone once. */
  readonly splits: readonly Split[];
  /** Roots besides the system's, as PEM: for encrypted resolvers; a site has its own, which include them. */
  readonly trust: string | undefined;
  /** Absolute folder. */
  readonly data: string;
  readonly ca: {
    readonly certificate: string;
    readonly key: string;
    readonly constraints: readonly string[] | "none";
  };
  /** For `parsePrefixes`. */
  readonly clients: readonly string[];
  /** Bytes; undefined: what leaves 10 % of the file system free. */
  readonly maxSize: number | undefined;
  /** What was not used for so many ms goes; `undefined`: nothing for its age. */
  readonly maxAge: number | undefined;
  readonly log: LogOptions;
  /** What defaults say of `httpProxy`: the way out of what belongs to no site. Never logged. */
  readonly httpProxy: URL | undefined;
  /** Names in plain form, or such as `*.cloudfront.net`, none of them a site's, whose TLS is passed on untouched. */
  readonly passthrough: readonly string[];
  readonly sites: readonly Site[];
  /** Entries such as `*.pkg.dev`: each stands for all hosts below, at none of which anybody has been yet. */
  readonly wildcards: readonly Site[];
  /** What no wildcard stands for: names, and such as `*.eu.pkg.dev`. */
  readonly excluded: readonly string[];
  readonly mirror: MirrorConfig;
  readonly notify: readonly MirrorWebhook[];
}
