// An upstream that speaks TLS, and a transport that trusts its issuer and finds its name.
import { generateKeyPairSync } from "node:crypto";
import { trusting } from "../../src/lib/roots.ts";
import { mintLeaf } from "../../src/tls/leaf.ts";
import { anchorOf, makeRoot } from "../../src/tls/root.ts";
import { leafExtensions, signCertificate, subjectOf } from "../../src/tls/x509.ts";
import type { Transport } from "../../src/upstream/transport.ts";
import { type FaultOptions, type FaultUpstream, faultUpstream } from "../faults/upstream.ts";
import { transportFor } from "./asking.ts";
import { namesAt } from "./names.ts";

export const NAME = "registry.example";

const root = makeRoot({ names: "all", now: Date.now(), hostname: "box" });
export const rootPem = String(anchorOf(root).certificate);

export interface SecureOptions extends FaultOptions {
  readonly leafNames?: readonly string[];
  /** When its certificate was made. */
  readonly at?: number;
}

export const secureUpstream = ({ leafNames = [NAME], at = Date.now(), ...options }: SecureOptions = {}): Promise<FaultUpstream> =>
  faultUpstream({ name: NAME, tls: certified(leafNames, at), ...options });

/** What a server shows for these names, by the issuer above. */
export const certified = (names: readonly string[], at = Date.now()): { cert: string; key: string } => {
  const { chain, key } = mintLeaf(root, names, at);
  return { cert: chain, key: key.export({ type: "pkcs8", format: "pem" }) as string };
};

/** One of a client called `builds`, and its key, by the same issuer; it began a minute before `at`, and lives an hour. */
export const clientCertificate = (at = Date.now()): { certificate: string; key: string } => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const notBefore = at - 60_000;
  // without what keeps it to servers
  const extensions = leafExtensions(root.keyId, ["builds"]).slice(0, 2);
  const draft = { subject: subjectOf("builds"), publicKey, notBefore, notAfter: notBefore + 3_600_000, extensions };
  return {
    certificate: `${String(signCertificate(draft, root))}${String(root.certificate)}`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
  };
};

/** Every name is 127.0.0.1. `trust` is the issuer above unless told. */
export const secureTransport = async (trust: string = rootPem): Promise<Transport> =>
  transportFor({ resolver: await namesAt("127.0.0.1"), secureContext: trusting(trust) });
