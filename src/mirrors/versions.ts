// Tags as versions. A version is `v` or nothing, numbers (of the first three, those left out are 0), and maybe a suffix. `-alpha`, `-beta`,
// `-rc` and the like make a pre-release, which comes before its release, as npm has it; any other suffix is a variant (`-alpine`) of the same
// version. Further numbers (`1.2.3.4`) order what is the same version otherwise.
import { createRequire } from "node:module";
import type { Range, SemVer } from "semver";

const load = createRequire(import.meta.url);
let loaded: typeof import("semver") | undefined;
/** With the first version that there is: most installations compare none. */
const npm = (): typeof import("semver") => {
  loaded ??= load("semver") as typeof import("semver");
  return loaded;
};

export interface Version {
  readonly version: SemVer;
  readonly isPreRelease: boolean;
  /** Without the `-`; empty where there is none. */
  readonly variant: string;
  /** Those that were written, and those behind the third. */
  readonly numbers: number;
  readonly further: string;
}

const VERSION = /^v?(\d{1,15})(?:\.(\d{1,15}))?(?:\.(\d{1,15}))?((?:\.\d{1,15})*)(?:[-_](.+))?$/i;
const PRE_RELEASE = /^(?:alpha|beta|rc|pre|preview|dev|snapshot|nightly|next|canary|ea|[abm](?=\d))(?![a-z])/i;

/** `undefined`: no version. */
export const versionOf = (tag: string): Version | undefined => {
  const [, major, minor, patch, further = "", suffix = ""] = VERSION.exec(tag) ?? [];
  if (major === undefined) return undefined;
  const release = [major, minor ?? "0", patch ?? "0"].map(Number).join(".");
  const isPreRelease = PRE_RELEASE.test(suffix);
  const version = npm().parse(isPreRelease ? `${release}-${identifiers(suffix)}` : release);
  if (version === null) return undefined;
  const numbers = [major, minor, patch].filter((part) => part !== undefined).length;
  return { version, isPreRelease, variant: isPreRelease ? "" : suffix, numbers, further };
};

/** `rc1` comes after `rc.0` and before `rc10`: letters and digits are identifiers of their own (semver 2.0, 11). */
const identifiers = (suffix: string): string =>
  (suffix.match(/\d+|[a-z]+/gi) ?? []).map((part) => (/^\d{1,15}$/.test(part) ? String(Number(part)) : part)).join(".");

/** Throws an Error that says what is wrong with it. */
export const rangeOf = (text: string): Range => {
  if (text.length > 200 || npm().validRange(text) === null)
    throw new Error(`expected a range of versions such as ">=22 <25" or "^1.2", found ${JSON.stringify(text.slice(0, 80))}`);
  return new (npm().Range)(text);
};

/**
 * Whether a tag is a version in the range. Variants and pre-releases are so by their own right only where `withSuffixes`; else variants are
 * not, and pre-releases where the range itself names one of the same numbers.
 */
export const inRange = (range: string, withSuffixes: boolean): ((tag: string) => boolean) => {
  const within = new (npm().Range)(rangeOf(range).raw, { includePrerelease: withSuffixes });
  return (tag) => {
    const found = versionOf(tag);
    return found !== undefined && (withSuffixes || found.variant === "") && within.test(found.version);
  };
};

/** The highest first: versions, the more exact of two alike first, then what is none by natural order. */
export const newestFirst = (a: string, b: string): number => {
  const [one, other] = [versionOf(a), versionOf(b)];
  if (one === undefined && other === undefined) return -natural(a, b);
  if (one === undefined || other === undefined) return one === undefined ? 1 : -1;
  return (
    npm().rcompare(one.version, other.version) ||
    -natural(one.further, other.further) ||
    Number(one.variant !== "") - Number(other.variant !== "") ||
    other.numbers - one.numbers ||
    -natural(one.variant, other.variant) ||
    -natural(a, b)
  );
};

/** Digits in a row count as a number. */
const natural = (a: string, b: string): number => {
  const [one, other] = [partsOf(a), partsOf(b)];
  for (let i = 0; i < Math.min(one.length, other.length); i += 1) {
    const order = comparePart(one[i]!, other[i]!);
    if (order !== 0) return order;
  }
  return one.length - other.length || compareText(a, b);
};

const partsOf = (text: string): string[] => text.match(/\d+|\D+/g) ?? [];

const comparePart = (a: string, b: string): number => {
  if (!/^\d/.test(a) || !/^\d/.test(b)) return compareText(a, b);
  const [one, other] = [a.replace(/^0+(?=\d)/, ""), b.replace(/^0+(?=\d)/, "")];
  return one.length - other.length || compareText(one, other);
};

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
