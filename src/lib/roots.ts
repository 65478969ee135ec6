// What certificates of upstreams are checked against: the roots of the system and of Node, and those that a site adds. Where the system trusts our
// own CA as well (a Docker host that is its own Layover), a loop would verify here: the loop guard, not this, stops it.
import { createSecureContext, getCACertificates, type SecureContext } from "node:tls";

const contexts = new Map<string, SecureContext>();

/** `trust` is PEM; `own` is what is shown of ours where a server asks for it. One context for all sites that have the same. */
export const trusting = (
  trust: string | undefined,
  own?: { readonly certificate: string; readonly key: string },
): SecureContext => {
  const key = `${trust ?? ""}\n${own?.certificate ?? ""}`;
  const known = contexts.get(key);
  if (known !== undefined) return known;
  const roots = new Set([
    ...getCACertificates("default"),
    ...getCACertificates("system"),
    ...(trust === undefined ? [] : [trust]),
  ]);
  const shown = own === undefined ? {} : { cert: own.certificate, key: own.key };
  const context = createSecureContext({ ca: [...roots], minVersion: "TLSv1.2", ...shown });
  contexts.set(key, context);
  return context;
};
