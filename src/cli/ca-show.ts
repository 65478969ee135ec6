// `layover ca show`: every root that clients are asked to trust. Where this user may not read the key file, what signs is not known.
import type { Config } from "../config/config.ts";
import { CaError } from "../tls/ca-error.ts";
import { readCaFiles } from "../tls/ca-files.ts";
import type { CaOptions } from "../tls/plan.ts";
import { planOf } from "../tls/plan.ts";
import { chain, type Root } from "../tls/root.ts";
import { readRoots } from "../tls/roots.ts";
import { type Standing, signersOf, standingOf } from "../tls/standing.ts";
import { type Root as PublicRoot, readRoots as readPublic } from "./ca-roots.ts";
import { print } from "./print.ts";

interface Shown {
  readonly name: string;
  /** SHA-256. */
  readonly fingerprint: string;
  readonly notBefore: string;
  readonly notAfter: string;
  /** For people; "any name" without constraints. */
  readonly covers: string;
  /** "unknown" where the key file cannot be read. */
  readonly standing: Standing | "unknown";
  /** When signing goes over to it, where that was said. */
  readonly from?: string;
  /** Subject and fingerprint of the intermediate that signs under it. */
  readonly signer?: { readonly name: string; readonly fingerprint: string };
}

/** Exit status 1: there is no certificate that can be read. */
export const caShow = async (options: { readonly config?: string; readonly json?: boolean }): Promise<void> => {
  const { configOrExit } = await import("./config.ts");
  const config = await configOrExit(options.config, { mayListBeWrong: true });
  if (config === undefined) return;
  const anchors = await readPublic(config.ca.certificate);
  if (typeof anchors === "string") {
    process.stderr.write(`${config.ca.certificate}: ${anchors}\n`);
    process.exitCode = 1;
    return;
  }
  const shown = await shownOf(config, anchors);
  print(options, { certificate: config.ca.certificate, roots: shown }, ({ roots }) =>
    [`${config.ca.certificate}\n`, ...roots.map(describe)].join(""),
  );
};

const shownOf = async (config: Config, anchors: readonly PublicRoot[]): Promise<readonly Shown[]> => {
  const { caOptions } = await import("../app-ca.ts");
  const now = Date.now();
  const options = caOptions(config);
  const roots = readSigning(options);
  const signers = signersOf(roots, planOf(options).wanted, now);
  return anchors.map((anchor) => {
    const under = roots.filter((root) => chain(root).some((each) => each.certificate.fingerprint256 === anchor.fingerprint));
    // One that signs says more than one that does not.
    const root = under.find((each) => signers.has(each)) ?? under[0];
    return {
      name: anchor.subject,
      fingerprint: anchor.fingerprint,
      notBefore: anchor.notBefore.toISOString(),
      notAfter: anchor.notAfter.toISOString(),
      covers: anchor.covers,
      standing: root !== undefined ? standingOf(root, signers, now) : anchor.notAfter.getTime() <= now ? "expired" : "unknown",
      ...(root !== undefined && root.from > 0 ? { from: new Date(root.from).toISOString() } : {}),
      ...(root !== undefined && root.above.length > 0 ? { signer: signerOf(root) } : {}),
    };
  });
};

/** None where the key file is not there, is not whole, or is not this user's to read: what is public is shown all the same. */
const readSigning = (options: CaOptions): readonly Root[] => {
  try {
    return readRoots(readCaFiles(options), options) ?? [];
  } catch (error) {
    if (!(error instanceof CaError)) throw error;
    process.stderr.write(`what signs is not known: ${error.message}\n`);
    return [];
  }
};

const signerOf = ({ name, certificate }: Root) => ({ name, fingerprint: certificate.fingerprint256 });

const STANDING: Record<Shown["standing"], string> = {
  signs: "signs",
  coming: "is coming",
  going: "signs for nothing that is served any more (layover ca rotate --retire)",
  "no key": "has no key here",
  expired: "EXPIRED",
  "not valid yet": "is not valid yet",
  unknown: "not known",
};

const describe = ({ name, fingerprint, covers, notBefore, notAfter, standing, from, signer }: Shown): string => {
  const lines: (readonly [string, string])[] = [
    ["SHA-256", fingerprint],
    ["covers", covers],
    ["valid", `${notBefore.slice(0, 10)} to ${notAfter.slice(0, 10)}`],
    [
      "state",
      `${STANDING[standing]}${from === undefined ? "" : `; signing ${standing === "coming" ? "goes" : "went"} over to it on ${from}`}`,
    ],
    ...(signer === undefined ? [] : [["signer", `${signer.name}, ${signer.fingerprint}`] as const]),
  ];
  return [`  ${name}\n`, ...lines.map(([key, value]) => `    ${key.padEnd(10)} ${value}\n`)].join("");
};
