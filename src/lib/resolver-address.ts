// A resolver as the configuration names it.
import { isIP } from "node:net";
import { type Address, AddressError, formatAddress, parseAddress } from "./listen.ts";

/** UDP, and TCP for what does not fit. */
export interface PlainResolver extends Address {
  readonly kind: "plain";
}

/** DNS over TLS (RFC 7858). `host` is an address or a name; its certificate has to have it. */
export interface TlsResolver extends Address {
  readonly kind: "tls";
}

/** DNS over HTTPS (RFC 8484). */
export interface HttpsResolver extends Address {
  readonly kind: "https";
  readonly path: string;
}

export type EncryptedResolver = TlsResolver | HttpsResolver;
export type ResolverAddress = PlainResolver | EncryptedResolver;

const DNS_PORT = 53;
const TLS_PORT = 853;
const HTTPS_PORT = 443;
const DNS_QUERY = "/dns-query";
const EXPECTED = "an IP address, ip:port, tls://host or https://host/dns-query";

/** `8.8.8.8`, `10.0.0.2:5353`, `[::1]:53`, `tls://dns.google`, `tls://8.8.8.8:853`, `https://dns.google/dns-query`. Throws AddressError. */
export const parseResolver = (text: string): ResolverAddress => {
  if (text.includes("://")) return parseEncrypted(text.trim());
  const address = parseAddress(text, DNS_PORT);
  if (address.port === 0) throw new AddressError("an IP address, or ip:port", text);
  return { kind: "plain", ...address };
};

const parseEncrypted = (text: string): EncryptedResolver => {
  const url = URL.parse(text);
  const kind = url?.protocol === "tls:" ? "tls" : url?.protocol === "https:" ? "https" : undefined;
  if (url === null || kind === undefined || url.username + url.password + url.search + url.hash !== "") {
    throw new AddressError(EXPECTED, text);
  }
  const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const port = url.port === "" ? (kind === "tls" ? TLS_PORT : HTTPS_PORT) : Number(url.port);
  const hasPath = url.pathname !== "" && url.pathname !== "/";
  if (!isHost(host) || port === 0 || (kind === "tls" && hasPath)) throw new AddressError(EXPECTED, text);
  return kind === "tls" ? { kind, host, port } : { kind, host, port, path: hasPath ? url.pathname : DNS_QUERY };
};

const isHost = (host: string): boolean =>
  isIP(host) !== 0 || (/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(host) && host.length < 254);

/** One spelling, which can be parsed again. */
export const formatResolver = (resolver: ResolverAddress): string => {
  if (resolver.kind === "plain") return formatAddress(resolver);
  const place = formatAddress(resolver).replace(resolver.kind === "tls" ? /:853$/ : /:443$/, "");
  return resolver.kind === "tls" ? `tls://${place}` : `https://${place}${resolver.path}`;
};

/** Whether its address has to be asked of others first. */
export const isNamed = ({ host }: ResolverAddress): boolean => isIP(host) === 0;
