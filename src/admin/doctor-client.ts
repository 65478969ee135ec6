// `curl http://layover/doctor | sh`: what `layover doctor --from client` looks at, as far as a shell can, for machines without Node.
import { readFileSync } from "node:fs";

export interface ClientDoctor {
  /** Layover's own door as the client reached it. */
  readonly url: string;
  /** Layover's own name. */
  readonly own: string;
  /** The names that it stands in for. */
  readonly names: readonly string[];
  /** PEM. */
  readonly ca: string;
}

const NAME = /^[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?$/;
const URL_ = /^https?:\/\/[\w.:[\]-]+$/;

/** A POSIX script. Throws Error for what is no name or URL: it may have come with a request, and goes into a shell. */
export const clientDoctor = ({ url, own, names, ca }: ClientDoctor): string => {
  for (const name of [own, ...names]) if (!NAME.test(name)) throw new Error(`not a name: ${JSON.stringify(name)}`);
  if (!URL_.test(url)) throw new Error(`not a URL: ${JSON.stringify(url)}`);
  const certificates = ca
    .replaceAll("\r", "")
    .match(/-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+\n-----END CERTIFICATE-----/g);
  return [
    "#!/bin/sh",
    "# Looks at this machine as a client of Layover's: what is wrong, and how to mend it. Changes nothing.",
    `url='${url}'`,
    `own='${own}'`,
    `names='${names.join(" ")}'`,
    "",
    "ca() {",
    "  cat <<'PEM'",
    ...(certificates ?? []),
    "PEM",
    "}",
    "",
    readFileSync(new URL("./doctor-client.sh", import.meta.url), "utf8"),
  ].join("\n");
};
