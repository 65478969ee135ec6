// Programs that trust the system's store: crane, ko, oras, curl, and Docker's classic image store for Docker Hub.
import type { Client } from "./clients.ts";
import type { Setup } from "./setup.ts";
import { head, hijack, note, type Step } from "./step.ts";

const BUNDLE = "/etc/layover/ca.crt";

const everything = (setup: Setup): Step[] => [
  head("The CA certificate, for the system"),
  {
    do: "store",
    why: "Programs in Go, curl, git and most others read it; those that run already see it when they are started again",
  },
  { do: "ca", path: BUNDLE },
  head("What does not read the system's store"),
  note(`Node: NODE_EXTRA_CA_CERTS=${BUNDLE}   (added to its own roots)`),
  note(
    "Python's requests, pip: REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt   (in place of its own: name the system's whole bundle)",
  ),
  note("SSL_CERT_FILE, CURL_CA_BUNDLE: in place of the system's store. Where they are set, that file needs the CA too."),
  note(
    `Java: keytool -importcert -cacerts -noprompt -alias layover -file ${BUNDLE}   (one certificate; Debian's Java reads the store)`,
  ),
  ...hijack(setup),
];

export const system: Client = { title: "This machine: the system's store, and DNS", doors: { hijack: everything } };
