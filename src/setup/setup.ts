// What every set-up is made of: one value, checked here, from which all texts and scripts are pure functions.
// Nothing of it gets into a script, or before a reader's eyes, that is not a name, an address, a certificate or a fingerprint.
import { isIP } from "node:net";

export interface Setup {
  /** The names that Layover stands in for: hosts and aliases; `*.example` for all names below one. */
  readonly names: readonly string[];
  /** Names whose connections are passed on untouched: for DNS they are as the others, and no client needs the CA for them. */
  readonly passed: readonly string[];
  /** Where questions for names go. */
  readonly dns: { readonly host: string; readonly port: number };
  /** What those names are answered with. */
  readonly answer: readonly string[];
  /** Layover's own name on its HTTPS door, where that is open. */
  readonly mirror: { readonly name: string; readonly port: number } | undefined;
  /** Its CONNECT door, where that is open. */
  readonly proxy: { readonly host: string; readonly port: number } | undefined;
  /** PEM: one certificate or more. */
  readonly ca: string;
  /** SHA-256 of each certificate, as `AA:BB:…`. */
  readonly fingerprints: readonly string[];
  /** Layover's plain HTTP door, where there is one: `http://layover` */
  readonly url: string | undefined;
}

/** A registry as image names call it, and where it really is. */
export interface Reference {
  readonly name: string;
  readonly host: string;
}

const HUB = "registry-1.docker.io";
/** What image names call the Hub, and so the folder where clients look for its CA. */
const HUB_REFERENCE = "docker.io";

/** Throws Error for what is no name, address, port or certificate. */
export const checked = (setup: Setup): Setup => {
  const { names, passed, dns, mirror, proxy, fingerprints, answer, ca } = setup;
  for (const name of [...names, ...passed])
    if (!isName(name.replace(/^\*\./, ""))) throw new Error(`not a name: ${JSON.stringify(name)}`);
  if (mirror !== undefined && !isName(mirror.name)) throw new Error(`not a name: ${JSON.stringify(mirror.name)}`);
  for (const address of [dns.host, ...answer])
    if (isIP(address) === 0) throw new Error(`not an address: ${JSON.stringify(address)}`);
  if (answer.length === 0) throw new Error("not an address: nothing at all");
  if (proxy !== undefined && isIP(proxy.host) === 0 && !isName(proxy.host))
    throw new Error(`not a name: ${JSON.stringify(proxy.host)}`);
  for (const { port } of [dns, ...(mirror ? [mirror] : []), ...(proxy ? [proxy] : [])])
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new Error(`not a port: ${port}`);
  const count = certificatesOf(ca).length;
  if (count === 0 || count !== fingerprints.length || !fingerprints.every((print) => PRINT.test(print))) {
    throw new Error("expected the CA's certificates in PEM form, with a SHA-256 fingerprint for each");
  }
  return { ...setup, url: safeUrl(setup.url) };
};

const PRINT = /^[0-9A-F]{2}(:[0-9A-F]{2}){31}$/;
const NAME = /^[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?$/;
const isName = (name: string): boolean => NAME.test(name) && !name.includes("..");

/** It may have come with a request: only what is safe to paste into a shell. */
const safeUrl = (url: string | undefined): string | undefined =>
  url !== undefined && /^https?:\/\/[\w.:[\]-]+$/.test(url) ? url : undefined;

/** The PEM blocks alone, each with a line's end: nothing that a shell, or a reader, could take for something else. */
export const certificatesOf = (pem: string): string[] =>
  (pem.replaceAll("\r", "").match(/-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+\n-----END CERTIFICATE-----/g) ?? []).map(
    (block) => `${block}\n`,
  );

export const caOf = (setup: Setup): string => certificatesOf(setup.ca).join("");

/** As a block in YAML. */
export const indentedCa = (setup: Setup, by: number): string => caOf(setup).trimEnd().replaceAll(/^/gm, " ".repeat(by));

/** Without those that stand for all names below one: no client's folder or table of registries takes these. */
export const plainNames = ({ names }: Setup): string[] => names.filter((name) => !name.startsWith("*."));

export const hasHub = ({ names }: Setup): boolean => names.includes(HUB);

/** The folders under a certs.d: image stores of the newer kind look for the Hub's as `docker.io`. */
export const certificateFolders = (setup: Setup): string[] => [...plainNames(setup), ...(hasHub(setup) ? [HUB_REFERENCE] : [])];

/** `docker.io` for the Hub, whatever other names it has. */
export const references = (setup: Setup): Reference[] =>
  plainNames(setup)
    .filter((name) => name !== "index.docker.io" && name !== HUB_REFERENCE)
    .map((host) => ({ host, name: host === HUB ? HUB_REFERENCE : host }));

/** `layover` or `layover:8443`, as clients write a registry. Throws where the door is shut. */
export const mirrorHost = ({ mirror }: Setup): string => {
  if (mirror === undefined) throw new Error("Layover's HTTPS door is off (listen.https)");
  return mirror.port === 443 ? mirror.name : `${mirror.name}:${mirror.port}`;
};

/** Throws where the door is shut. */
export const proxyUrl = ({ proxy }: Setup): string => {
  if (proxy === undefined) throw new Error("Layover's proxy door is off (listen.proxy)");
  return `http://${bracketed(proxy.host)}:${proxy.port}`;
};

export const dnsServer = ({ dns }: Setup): string => (dns.port === 53 ? dns.host : `${bracketed(dns.host)}:${dns.port}`);

/** What systemd-resolved has to send to Layover: a name there stands for those below it as well. */
export const askedNames = ({ names, passed }: Setup): string[] => [...names, ...passed].map((name) => name.replace(/^\*\./, ""));

const bracketed = (host: string): string => (isIP(host) === 6 ? `[${host}]` : host);
