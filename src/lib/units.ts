// Durations and sizes as people write them, parsed once at the edge: milliseconds and bytes from there on.

const DURATIONS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZES = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
} as const;
const SIZE_BY_LOWER = new Map<string, number>([
  ...Object.entries(SIZES).map(([unit, bytes]) => [unit.toLowerCase(), bytes] as const),
]);

/** Its message says what was expected and what was found. */
export class UnitError extends Error {
  constructor(expected: string, found: string) {
    super(`expected ${expected}, found ${JSON.stringify(found)}`);
    this.name = "UnitError";
  }
}

/** `250ms 90s 5m 12h 30d`, also `1.5h` and a bare `0`, to milliseconds. Throws UnitError. */
export const parseDuration = (text: string): number => {
  const trimmed = text.trim();
  if (trimmed === "0") return 0;
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(trimmed) ?? [];
  const ms = Math.round(Number(digits) * (DURATIONS[unit as keyof typeof DURATIONS] ?? Number.NaN));
  if (!Number.isSafeInteger(ms)) throw new UnitError("a duration such as 90s, 5m, 12h or 30d", text);
  return ms;
};

/** `512 10MB 200GiB` (decimal and binary units, in any case) to bytes. Throws UnitError. */
export const parseSize = (text: string): number => {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  const bytes = Math.floor(Number(digits) * (SIZE_BY_LOWER.get((unit || "B").toLowerCase()) ?? Number.NaN));
  if (!Number.isSafeInteger(bytes)) throw new UnitError("a size such as 500MB or 200GiB", text);
  return bytes;
};

/** The shortest text that parses back to the same number. */
export const formatDuration = (ms: number): string => {
  if (ms === 0) return "0s";
  const units = Object.entries(DURATIONS).reverse();
  const [unit, size] = units.find(([, size]) => ms % size === 0) ?? ["ms", 1];
  return `${ms / size}${unit}`;
};

/** The largest unit that divides it; parses back to the same number. */
export const formatSize = (bytes: number): string => {
  const units = Object.entries(SIZES).sort(([, a], [, b]) => b - a);
  const [unit, size] = (bytes > 0 && units.find(([, size]) => bytes % size === 0)) || ["B", 1];
  return `${bytes / size}${unit}`;
};

/** To three digits, for people. */
export const about = (bytes: number): string => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  const step = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  return `${step === 0 ? bytes : (bytes / 1024 ** step).toPrecision(3)} ${units[step]}`;
};
