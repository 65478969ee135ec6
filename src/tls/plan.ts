// What a CA is asked to speak for, in plain form and checked.
import { isIP } from "node:net";
import { resolve } from "node:path";
import type { Clock } from "../lib/clock.ts";
import { plainHost } from "../lib/host-name.ts";
import { suffixOf } from "../lib/host-table.ts";
import { CaError } from "./ca-error.ts";
import type { CaPaths } from "./ca-files.ts";
import { isHostName } from "./host.ts";

export interface CaOptions extends CaPaths {
  /** Every name that is to be served: sites' and Layover's own; `*.` before one: whatever is below it. Addresses only with `constraints: "none"`. */
  readonly names: readonly string[];
  /** Names for sites to come, with all below them; "none": a root that is made covers anything. */
  readonly constraints: readonly string[] | "none";
  readonly clock: Clock;
  /** Goes into the common name of a root that is made. */
  readonly hostname: string;
}

export interface Plan extends CaOptions {
  /** All that a root ought to speak for: the names, and those to come. */
  readonly wanted: readonly string[];
}

/** Throws CaError. */
export const planOf = (options: CaOptions): Plan => {
  if (resolve(options.certificateFile) === resolve(options.keyFile)) {
    const mend = "name two files: the certificate is handed out, the key never";
    throw new CaError({ path: options.keyFile, problem: "is named for both the certificate and the key", mend });
  }
  return { ...options, names: plainNames(options.names, options), wanted: wantedNames(options) };
};

const wantedNames = (options: CaOptions): readonly string[] =>
  plainNames([...options.names, ...(options.constraints === "none" ? [] : options.constraints)], options);

const plainNames = (names: readonly string[], { certificateFile, constraints }: CaOptions): readonly string[] =>
  [...new Set(names.map(baseOf))].map((name) => {
    if (isHostName(name) || (isIP(name) !== 0 && constraints === "none")) return name;
    const problem = `no certificate can be made for ${JSON.stringify(name)}`;
    if (isIP(name) === 0)
      throw new CaError({
        path: certificateFile,
        problem,
        mend: "write an exact host name, without port, and * only as a whole first label",
      });
    throw new CaError({
      path: certificateFile,
      problem,
      mend: "addresses need a CA without constraints: `ca: { constraints: none }`",
    });
  });

/** A constraint holds a name and all below it (RFC 5280 4.2.1.10), so `*.pkg.dev` needs no more than `pkg.dev`. */
const baseOf = (name: string): string => suffixOf(plainHost(name));
