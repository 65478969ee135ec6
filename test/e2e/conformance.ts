// The OCI conformance suite as one more client of a registry, and its verdicts, test by test. Its exit code says nothing of value:
// it is 0 as well when the suite could not even begin.
import { readFile } from "node:fs/promises";
import { Place, type Start } from "./clients/client.ts";
import { outcome } from "./part.ts";

/** `said` is why a test failed or was skipped; empty when it passed. */
export type Verdict = { name: string; result: "passed" | "failed" | "skipped"; said: string };
/** `prefix` comes before its repositories; `settings` are more of its OCI_ variables, named without that. */
export type Run = { prefix?: string; user?: string; password?: string; settings?: Record<string, string> };
export type Suite = { verdicts(host: string, run?: Run): Promise<readonly Verdict[]>; stop(): Promise<void> };

/** Brings the suite up on a network; it trusts the system's roots alone. */
export const conformance: Start<Suite> = async (dir, network) => {
  const place = await Place.make(dir, network, "both");
  return {
    async verdicts(host, { prefix = "conformance", user = "", password = "", settings = {} } = {}) {
      const results = place.fresh();
      const where = { OCI_REGISTRY: host, OCI_REPO1: `${prefix}/one`, OCI_REPO2: `${prefix}/two`, OCI_RESULTS_DIR: results };
      const more = Object.fromEntries(Object.entries(settings).map(([key, value]) => [`OCI_${key}`, value]));
      const ran = await place.run(["conformance"], { env: { ...where, OCI_USERNAME: user, OCI_PASSWORD: password, ...more } });
      const report = await readFile(`${results}/junit.xml`, "utf8").catch(() => "");
      const verdicts = verdictsIn(report);
      if (verdicts.length === 0) throw new Error(`the conformance suite found nothing: ${outcome(ran)}`);
      return verdicts;
    },
    stop: async () => {},
  };
};

/**
 * One line each, to compare two runs by: sorted, for the suite takes its data in no order. The data is made at random, so that of what
 * is said only statuses and names of headers are kept.
 */
export const lines = (verdicts: readonly Verdict[]): string[] =>
  verdicts.map(({ name, result, said }) => `${name}: ${result} ${constant(said)}`.trim()).toSorted();

export const counted = (verdicts: readonly Verdict[]): Record<Verdict["result"], number> => {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { result } of verdicts) counts[result] += 1;
  return counts;
};

const RESULTS: Readonly<Record<string, Verdict["result"]>> = { passed: "passed", skipped: "skipped" };
const CASE = /<testcase name="([^"]*)"[^>]*? status="([^"]*)"[^>]*?(?:\/>|>(.*?)<\/testcase>)/gs;
const SAID = /<system-out>(.*?)<\/system-out>/s;

const verdictsIn = (junit: string): Verdict[] =>
  [...junit.matchAll(CASE)].map(([, name = "", status = "", inner = ""]) => {
    const [, said = ""] = SAID.exec(inner) ?? [];
    return { name: plain(name), result: RESULTS[status] ?? "failed", said: plain(said) }; // else a failure, or an error of the suite's
  });

const NAMED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** The text that XML text stands for. */
const plain = (text: string): string =>
  text.replace(/&(?:#(\d+)|#x([0-9a-fA-F]+)|(\w+));/g, (whole, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return NAMED[name] ?? whole;
    return String.fromCodePoint(decimal === undefined ? Number.parseInt(hex ?? "", 16) : Number(decimal));
  });

const constant = (said: string): string =>
  said
    .replace(/(body contents mismatch|header value mismatch for "[\w-]+"|entry missing from referrers list).*$/gm, "$1")
    .replace(/(sha256|sha512):[0-9a-f]+/g, "$1")
    .replace(/(\/blobs\/sha\d+)[^"]*/g, "$1")
    .replaceAll("\n", "; ");
