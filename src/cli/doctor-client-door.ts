// Layover's TLS door as this machine reaches it: whether anything is there, and whose certificate each name gets.
import type { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { connect } from "node:tls";
import { formatAddress } from "../lib/listen.ts";
import type { Root } from "./ca-roots.ts";
import { type Finding, fail, ok, reasonOf } from "./doctor-finding.ts";

export interface DoorCheck {
  readonly names: readonly string[];
  /** The addresses that a name has here; the first is taken, as clients do. */
  readonly addressesOf: (name: string) => Promise<readonly string[]>;
  /** Of Layover's CA; none: unknown. */
  readonly roots: readonly Root[];
  readonly timeout: number;
  readonly now: number;
  readonly url: URL;
  /** 443 but in tests. */
  readonly port?: number;
}

type Shown = { readonly name: string; readonly at: string; readonly leaf: X509Certificate | string };

export const checkDoor = async (check: DoorCheck): Promise<Finding[]> => {
  const shown = (await Promise.all(check.names.map((name) => show(check, name)))).filter((one) => one !== undefined);
  const closed = Map.groupBy(
    shown.filter(({ leaf }) => typeof leaf === "string"),
    ({ at, leaf }) => `${at}: ${String(leaf)}`,
  );
  const findings = [
    ...[...closed].map(([where, those]) => unreachable(where, those)),
    ...together(shown.flatMap((one) => (typeof one.leaf === "string" ? [] : (judgeLeaf(check, one.leaf, one) ?? [])))),
  ];
  if (findings.length > 0 || shown.length === 0) return findings;
  const at = [...new Set(shown.map((one) => one.at))].join(", ");
  return [ok("tls", `${at} shows certificates of Layover's CA for ${shown.length} names`)];
};

const show = async ({ addressesOf, timeout, port = 443 }: DoorCheck, name: string): Promise<Shown | undefined> => {
  const [host] = await addressesOf(name);
  if (host === undefined) return undefined;
  return { name, at: formatAddress({ host, port }), leaf: await leafOf(host, port, name, timeout).catch(reasonOf) };
};

/** What is shown is looked at, not trusted. */
const leafOf = (host: string, port: number, name: string, timeout: number): Promise<X509Certificate> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port, rejectUnauthorized: false, ...(isIP(name) === 0 && { servername: name }) });
    const late = setTimeout(() => socket.destroy(new Error(`no answer within ${timeout / 1_000} s`)), timeout);
    socket.once("secureConnect", () => {
      const leaf = socket.getPeerX509Certificate();
      socket.destroy();
      if (leaf === undefined) reject(new Error("shows no certificate"));
      else resolve(leaf);
    });
    socket.once("error", reject);
    socket.once("close", () => {
      clearTimeout(late);
      reject(new Error("the connection was closed"));
    });
  });

const unreachable = (where: string, those: readonly Shown[]): Finding => {
  const names = those.map(({ name }) => name).join(", ");
  const mend =
    "let this machine through to port 443 there, or set Layover's `answer` (LAYOVER_ANSWER) to the address that clients reach";
  return fail("door", `names lead to what cannot be reached from here: ${where} (${names})`, mend);
};

type Fault = { readonly name: string; readonly text: string; readonly mend: string };

/** One finding for all the names that have the same fault. */
const together = (faults: readonly Fault[]): Finding[] =>
  [...Map.groupBy(faults, ({ text }) => text)].map(([text, those]) =>
    fail("tls", `${those.map(({ name }) => name).join(", ")}: ${text}`, those[0]!.mend),
  );

const judgeLeaf = ({ roots, now, url }: DoorCheck, leaf: X509Certificate, { name, at }: Shown): Fault | undefined => {
  if (roots.length === 0) return undefined;
  const root = roots.find(({ certificate }) => leaf.checkIssued(certificate) && leaf.verify(certificate.publicKey));
  const issuer = leaf.issuer?.replaceAll("\n", ", ") || "nobody";
  if (root === undefined) {
    const text = `the certificate at ${at} is from ${issuer}, not from the CA of ${url.origin}`;
    return { name, text, mend: foreign(url) };
  }
  if (!root.signs(name)) {
    const mend = "restart Layover: it adds a root for new names; then fetch ca.crt anew";
    return { name, text: `Layover's CA may not sign for this name, so clients refuse it`, mend };
  }
  const isNow = Date.parse(leaf.validFrom) <= now && now < Date.parse(leaf.validTo);
  if (!isNow) {
    const text = `by this machine's clock the certificate at ${at} is not valid now`;
    return { name, text, mend: "let this machine keep time (chrony, systemd-timesyncd)" };
  }
  return undefined;
};

const foreign = (url: URL): string =>
  `where that is the registry's own, the name leads past Layover (see \`dns\`, and ${url.origin}/readyz); else another Layover answers`;
