// Layover's TLS door as this machine reaches it: whether anything is there, and whose certificate each name gets.
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
  readonly url: URL;
  /** 443 but in tests. */
  readonly port?: number;
}

interface Certificate {
  /** Who signed the leaf. */
  readonly issuer: string;
  /** Why a client that trusts Layover's CA alone would refuse it. */
  readonly refused: string | undefined;
}
type Shown = { readonly name: string; readonly at: string; readonly certificate: Certificate | string };

export const checkDoor = async (check: DoorCheck): Promise<Finding[]> => {
  const shown = (await Promise.all(check.names.map((name) => show(check, name)))).filter((one) => one !== undefined);
  const silent = shown.flatMap(({ name, at, certificate }) =>
    typeof certificate === "string" ? [{ name, where: `${at}: ${certificate}` }] : [],
  );
  const findings = [
    ...[...Map.groupBy(silent, ({ where }) => where)].map(([where, those]) => unreachable(where, those)),
    ...together(check.roots.length === 0 ? [] : shown.flatMap((one) => judge(check, one) ?? [])),
  ];
  if (findings.length > 0 || shown.length === 0) return findings;
  const at = [...new Set(shown.map((one) => one.at))].join(", ");
  return [ok("tls", `${at} shows certificates of Layover's CA for ${shown.length} names`)];
};

const show = async (check: DoorCheck, name: string): Promise<Shown | undefined> => {
  const [host] = await check.addressesOf(name);
  if (host === undefined) return undefined;
  const port = check.port ?? 443;
  return { name, at: formatAddress({ host, port }), certificate: await certificateOf(check, host, port, name).catch(reasonOf) };
};

/** What is shown is looked at, not trusted. */
const certificateOf = ({ roots, timeout }: DoorCheck, host: string, port: number, name: string): Promise<Certificate> =>
  new Promise((resolve, reject) => {
    const ca = roots.map((root) => root.pem);
    const socket = connect({ host, port, ca, rejectUnauthorized: false, ...(isIP(name) === 0 && { servername: name }) });
    const late = setTimeout(() => socket.destroy(new Error(`no answer within ${timeout / 1_000} s`)), timeout);
    socket.once("secureConnect", () => {
      const issuer = socket.getPeerX509Certificate()?.issuer?.replaceAll("\n", ", ") || "nobody";
      resolve({ issuer, refused: socket.authorized ? undefined : codeOf(socket.authorizationError) });
      socket.destroy();
    });
    socket.once("error", reject);
    socket.once("close", () => {
      clearTimeout(late);
      reject(new Error("the connection was closed"));
    });
  });

/** Node gives the code, or an error that has it, or the code as a text. */
const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException | null)?.code ?? String(error);

const unreachable = (where: string, those: readonly { readonly name: string }[]): Finding => {
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

const judge = ({ roots, url }: DoorCheck, { name, at, certificate }: Shown): Fault | undefined => {
  if (typeof certificate === "string" || certificate.refused === undefined) return undefined;
  const { issuer, refused } = certificate;
  if (/CERT_(NOT_YET_VALID|HAS_EXPIRED)/.test(refused)) {
    const text = `by this machine's clock the certificate at ${at} is not valid now`;
    return { name, text, mend: "let this machine keep time (chrony, systemd-timesyncd)" };
  }
  if (!roots.some((root) => root.signs(name))) {
    const text = "Layover's CA may not sign for this name, so clients refuse it";
    return { name, text, mend: "restart Layover: it adds a root for new names; then fetch ca.crt anew" };
  }
  return {
    name,
    text: `the certificate at ${at} is from ${issuer}, not from the CA of ${url.origin} (${refused})`,
    mend: foreign(url),
  };
};

const foreign = (url: URL): string =>
  `where that is the registry's own, the name leads past Layover (see \`dns\`, and ${url.origin}/readyz); else another Layover answers`;
