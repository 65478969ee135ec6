// A site's way out: whose names and certificates are believed, which certificate of ours is shown to whom, and through which proxy it leads.
import type { SecureContext } from "node:tls";
import { trusting } from "../lib/roots.ts";
import type { Site } from "../sites.ts";
import { portOf } from "./port.ts";
import type { UpstreamResolver } from "./resolver.ts";
import type { HttpProxy } from "./tunnel.ts";

type Resolver = Pick<UpstreamResolver, "lookupFor" | "refuseOurs">;

export interface Way {
  readonly resolver: Resolver;
  /** Made once: parsing a system's worth of roots for each connection would cost more than the connection. */
  readonly secureContext: SecureContext;
  /** In its place towards the site's own upstreams alone: whoever a realm or a redirect leads to is shown no certificate of ours. */
  readonly presenting?: { readonly secureContext: SecureContext; readonly origins: ReadonlySet<string> } | undefined;
  readonly proxy?: HttpProxy | undefined;
}

export const wayOut = (site: Pick<Site, "trust" | "clientCertificate" | "httpProxy" | "upstreams">, resolver: Resolver): Way => {
  const { trust, clientCertificate, httpProxy, upstreams } = site;
  const secureContext = trusting(trust);
  return {
    resolver,
    secureContext,
    presenting: clientCertificate && {
      secureContext: trusting(trust, clientCertificate),
      origins: new Set(upstreams.map(({ origin }) => origin)),
    },
    proxy: httpProxy && { url: httpProxy, lookup: resolver.lookupFor(portOf(httpProxy)), secureContext },
  };
};

export const secureContextFor = ({ secureContext, presenting }: Way, origin: string): SecureContext =>
  presenting?.origins.has(origin) === true ? presenting.secureContext : secureContext;
