// A resolver as the configuration names it. Encrypted ones and split rules get their own `kind` when they come.
import { type Address, AddressError, formatAddress, parseAddress } from "../lib/listen.ts";

export interface PlainResolver extends Address {
  /** UDP, and TCP for what does not fit. */
  readonly kind: "plain";
}

export type ResolverAddress = PlainResolver;

/** Its message says what was given and what can be given instead. */
export class UnsupportedResolver extends Error {
  constructor(text: string) {
    super(
      `${JSON.stringify(text)}: this version asks resolvers over plain UDP and TCP only (8.8.8.8, 10.0.0.2:5353, [2001:db8::1]:53)`,
    );
    this.name = "UnsupportedResolver";
  }
}

const DNS_PORT = 53;

/** `8.8.8.8`, `10.0.0.2:5353`, `::1`, `[::1]:53`. Throws UnsupportedResolver for a URL, AddressError for what is no address. */
export const parseResolver = (text: string): ResolverAddress => {
  if (text.includes("://")) throw new UnsupportedResolver(text);
  const address = parseAddress(text, DNS_PORT);
  if (address.port === 0) throw new AddressError("an IP address, or ip:port", text);
  return { kind: "plain", ...address };
};

export const formatResolver = (resolver: ResolverAddress): string => formatAddress(resolver);
