// `layover ca export`: what clients are to trust, and nothing else of the CA.
import { writeFile } from "node:fs/promises";
import { readRoots } from "./ca-roots.ts";

/** Exit status 1: there is no certificate, or it cannot be written there. */
export const caExport = async (file: string | undefined, options: { readonly config?: string }): Promise<void> => {
  const { configOrExit } = await import("./config.ts");
  const config = await configOrExit(options.config, { mayListBeWrong: true });
  if (config === undefined) return;
  const roots = await readRoots(config.ca.certificate);
  if (typeof roots === "string") return fail(`${config.ca.certificate}: ${roots}`);
  const bundle = roots.map(({ pem }) => pem).join("");
  try {
    if (file === undefined) process.stdout.write(bundle);
    else await writeFile(file, bundle);
  } catch (error) {
    return fail((error as Error).message);
  }
  for (const { subject, fingerprint } of roots) process.stderr.write(`${subject}\n  SHA-256    ${fingerprint}\n`);
};

const fail = (reason: string): void => {
  process.stderr.write(`${reason}\n`);
  process.exitCode = 1;
};
