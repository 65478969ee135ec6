// The verifiers that clients bring: each is shown an address, a name and a file of roots, and says "accept" or "refuse …".
import { readFile } from "node:fs/promises";
import { connect } from "node:tls";
import { must, run } from "./part.ts";

export interface Case {
  /** `10.77.0.3:443`. */
  readonly address: string;
  readonly name: string;
  /** A PEM file. */
  readonly roots: string;
}

export const VERIFIERS = ["openssl", "go", "java", "python", "node"] as const;
type Verdicts = Record<(typeof VERIFIERS)[number], "accept" | "refuse">;

const here = (name: string): string => new URL(name, import.meta.url).pathname;

/** One program for all lines: starting a JVM is what takes time. */
const probe =
  (argv: readonly string[]) =>
  async (cases: readonly Case[]): Promise<string[]> => {
    const input = cases.map(({ address, name, roots }) => `${address} ${name} ${roots}\n`).join("");
    return (await must(argv, { input, ms: 60_000 })).trimEnd().split("\n");
  };

const byOpenssl = (cases: readonly Case[]): Promise<string[]> =>
  Promise.all(
    cases.map(async ({ address, name, roots }) => {
      const trust = ["-no-CApath", "-no-CAstore", "-CAfile", roots, "-x509_strict", "-verify_return_error"];
      const target = ["-connect", address, "-servername", name, "-verify_hostname", name];
      const { code, out, err } = await run(["openssl", "s_client", ...target, ...trust, "-brief"], { ms: 10_000 });
      return code === 0 ? "accept" : `refuse ${err}${out}`;
    }),
  );

const byNode = (cases: readonly Case[]): Promise<string[]> =>
  Promise.all(
    cases.map(async ({ address, name, roots }) => {
      const ca = await readFile(roots, "utf8");
      const [host, port] = address.split(":");
      const { promise, resolve } = Promise.withResolvers<string>();
      const socket = connect({ host: host!, port: Number(port), servername: name, ca }, () => resolve("accept"));
      socket.on("error", (error) => resolve(`refuse ${error.message}`)).setTimeout(10_000, () => resolve("silent"));
      return promise.finally(() => socket.destroy());
    }),
  );

const BY: Record<(typeof VERIFIERS)[number], (cases: readonly Case[]) => Promise<string[]>> = {
  openssl: byOpenssl,
  go: probe([`${process.env["LAYOVER_LAB"]}/bin/tls-probe`]),
  java: probe(["java", "-XX:TieredStopAtLevel=1", here("./TlsProbe.java")]),
  python: probe(["python3", here("./tls-probe.py")]),
  node: byNode,
};

/** For each case what each says; anything but a clear verdict about the certificate is thrown. */
export const verdictsOf = async (cases: readonly Case[]): Promise<Verdicts[]> => {
  const said = await Promise.all(VERIFIERS.map((verifier) => BY[verifier](cases)));
  return cases.map(
    (_, i) => Object.fromEntries(VERIFIERS.map((verifier, at) => [verifier, verdict(verifier, said[at]![i])])) as Verdicts,
  );
};

const ABOUT_CERTIFICATES = /certificat|subtree|verif|x509|PKIX|constraint/i;

const verdict = (verifier: string, text = "nothing"): "accept" | "refuse" => {
  if (text === "accept") return "accept";
  if (text.startsWith("refuse ") && ABOUT_CERTIFICATES.test(text)) return "refuse";
  throw new Error(`${verifier} said: ${text}`);
};

export const all = (verdict: "accept" | "refuse", but: Partial<Verdicts> = {}): Verdicts => ({
  ...{ openssl: verdict, go: verdict, java: verdict, python: verdict, node: verdict },
  ...but,
});
