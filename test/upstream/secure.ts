// An upstream that speaks TLS, and a transport that trusts its issuer and finds its name.
import { mintLeaf } from "../../src/tls/leaf.ts";
import { makeRoot } from "../../src/tls/root.ts";
import { trusting } from "../../src/upstream/roots.ts";
import type { Transport } from "../../src/upstream/transport.ts";
import { type FaultOptions, type FaultUpstream, faultUpstream } from "../faults/upstream.ts";
import { transportFor } from "./asking.ts";
import { namesAt } from "./names.ts";

export const NAME = "registry.example";

const root = makeRoot({ names: "all", now: Date.now(), hostname: "box" });
export const rootPem = String(root.certificate);

export interface SecureOptions extends FaultOptions {
  readonly leafNames?: readonly string[];
  /** When its certificate was made. */
  readonly at?: number;
}

export const secureUpstream = ({
  leafNames = [NAME],
  at = Date.now(),
  ...options
}: SecureOptions = {}): Promise<FaultUpstream> => {
  const { chain, key } = mintLeaf(root, leafNames, at);
  return faultUpstream({
    name: NAME,
    tls: { cert: chain, key: key.export({ type: "pkcs8", format: "pem" }) as string },
    ...options,
  });
};

/** Every name is 127.0.0.1. `trust` is the issuer above unless told. */
export const secureTransport = async (trust: string = rootPem): Promise<Transport> =>
  transportFor({ resolver: await namesAt("127.0.0.1"), secureContext: trusting(trust) });
