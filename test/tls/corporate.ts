// A company's own CA, made with openssl as its owners would: a root, and an intermediate below it.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openssl } from "./scratch.ts";

export interface Corporate {
  /** The intermediate, then its root, as PEM files. */
  readonly chain: string;
  readonly key: string;
  readonly root: string;
  readonly rootPem: string;
}

interface Draft {
  /** Extensions of the intermediate besides its identifiers, as openssl writes them. */
  readonly extensions?: string;
  readonly rootExtensions?: readonly string[];
  readonly keys?: readonly string[];
  readonly days?: number;
  readonly hash?: string;
  /** Of the intermediate. */
  readonly serial?: string;
}

const EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
export const SIGNS = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n";
const IDENTIFIERS = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
const ROOT = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"];

export const corporate = (folder: string, draft: Draft = {}): Corporate => {
  const { extensions = SIGNS, rootExtensions = ROOT, keys = EC, days = 30, hash = "sha256", serial = "5" } = draft;
  const at = (name: string): string => join(folder, name);
  const subject = ["-subj", "/O=Größe GmbH/CN=Corp root", "-utf8", ...rootExtensions.flatMap((text) => ["-addext", text])];
  openssl("req", "-x509", ...EC, "-nodes", "-days", "60", ...subject, "-keyout", at("root.key"), "-out", at("root.pem"));
  writeFileSync(at("sub.ext"), IDENTIFIERS + extensions);
  openssl("req", "-new", ...keys, "-nodes", "-subj", "/CN=Corp issuing", "-keyout", at("sub.key"), "-out", at("sub.csr"));
  const by = ["-CA", at("root.pem"), "-CAkey", at("root.key"), "-set_serial", serial, `-${hash}`, "-days", String(days)];
  openssl("x509", "-req", "-in", at("sub.csr"), ...by, "-extfile", at("sub.ext"), "-out", at("sub.pem"));
  const rootPem = readFileSync(at("root.pem"), "utf8");
  writeFileSync(at("chain.pem"), readFileSync(at("sub.pem"), "utf8") + rootPem);
  return { chain: at("chain.pem"), key: at("sub.key"), root: at("root.pem"), rootPem };
};
