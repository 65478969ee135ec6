// `layover ca import`: a CA that somebody else made takes over.
import { importCa } from "../tls/import.ts";
import { type OverlapOptions, onCa, overlapOf, told } from "./ca-work.ts";

export interface ImportOptions extends OverlapOptions {
  readonly certificate: string;
  readonly key: string;
}

export const caImport = async (options: ImportOptions): Promise<void> => {
  const overlap = overlapOf(options);
  if (overlap === undefined) return;
  const passphrase = process.env["LAYOVER_CA_PASSPHRASE"];
  await onCa(options.config, async (ca) => {
    const succession = await importCa(ca, {
      certificateFile: options.certificate,
      keyFile: options.key,
      passphrase,
      overlap,
    });
    const { name } = succession.root;
    const chain = [name, ...succession.root.above.slice(0, -1).map((root) => root.name)];
    process.stdout.write(`${told(succession, ca, Date.now())}Clients are shown, beside the leaf: ${chain.join(", ")}\n`);
    process.stdout.write("Back to Layover's own: `layover ca show`, then `layover ca rotate --to <its fingerprint>`\n");
  });
};
