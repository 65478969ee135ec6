// Resolvers over TLS and HTTPS. This file is imported only where there are some: TLS and HTTP/2 would double a process that shall be small.
import { type EncryptedResolver, formatResolver } from "../lib/resolver-address.ts";
import { trusting } from "../lib/roots.ts";
import type { Forwarder } from "./answer.ts";
import { connectHttps } from "./https-connection.ts";
import { keptResolver } from "./kept-resolver.ts";
import { lookupOver } from "./names.ts";
import type { Resolver } from "./resolver.ts";
import { connectTls } from "./tls-connection.ts";

export interface EncryptedOptions {
  /** Roots besides the system's, as PEM. */
  readonly trust: string | undefined;
  /** Who is asked for the addresses of resolvers that have names. */
  readonly bootstrap: Forwarder;
}

export const encryptedResolver = (to: EncryptedResolver, { trust, bootstrap }: EncryptedOptions): Resolver => {
  const secured = { secureContext: trusting(trust), lookup: lookupOver(bootstrap) };
  return keptResolver(formatResolver(to), () => (to.kind === "tls" ? connectTls(to, secured) : connectHttps(to, secured)));
};
