// The files that settings name: secrets, certificates and keys. What they hold is never part of a message.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { resolve } from "node:path";
import { HtpasswdError, parseHtpasswd } from "../lib/htpasswd.ts";
import { parsePublicKeys } from "../lib/public-keys.ts";
import { readTextFile } from "../lib/text-file.ts";
import type { ClientCertificate } from "../sites.ts";
import type { KeyPath, Problem } from "./problems.ts";

const MAX_BYTES = 4 * 2 ** 20;

export interface Files {
  /** Absolute, from a path that may be relative to the configuration. */
  path(name: string): string;
  /** Trimmed; undefined once it was reported that it cannot be read or is empty. */
  secret(name: string, at: KeyPath): Promise<string | undefined>;
  /** The absolute path of an htpasswd file; undefined once it was reported what is wrong with it. */
  users(name: string, at: KeyPath): Promise<string | undefined>;
  /** Every certificate of a PEM file, and nothing else of it; undefined once it was reported that there is none. */
  certificates(name: string, at: KeyPath): Promise<string | undefined>;
  /** A file of certificates, public keys or a JWKS, as `parsePublicKeys` takes it; undefined once it was reported that it does not. */
  publicKeys(name: string, at: KeyPath): Promise<string | undefined>;
  /** Of files, or of PEM texts in their place; undefined once it was reported that one is wrong, or that they do not belong together. */
  keyPair(certificate: string, key: string, at: KeyPath): Promise<ClientCertificate | undefined>;
}

export const filesIn = (folder: string, report: (problem: Problem) => void): Files => {
  const path = (name: string) => resolve(folder, name);

  const read = async (name: string, at: KeyPath): Promise<string | undefined> => {
    const file = path(name);
    try {
      return await readTextFile(file, MAX_BYTES);
    } catch (error) {
      report({ path: at, text: `cannot read ${file}: ${(error as Error).message}` });
      return undefined;
    }
  };

  const secret = async (name: string, at: KeyPath) => {
    const text = (await read(name, at))?.trim();
    if (text === "") report({ path: at, text: `${path(name)} is empty` });
    return text === "" ? undefined : text;
  };

  const users = async (name: string, at: KeyPath) => {
    const text = await read(name, at);
    if (text === undefined) return undefined;
    try {
      parseHtpasswd(text);
      return path(name);
    } catch (error) {
      if (!(error instanceof HtpasswdError)) throw error;
      const place = error.line === 0 ? path(name) : `${path(name)}:${error.line}`;
      report({ path: at, text: `${place}: ${error.message}` });
      return undefined;
    }
  };

  const textOf = async (given: string, at: KeyPath) => (isPem(given) ? given : read(given, at));
  const placeOf = (given: string) => (isPem(given) ? "the text" : path(given));

  const certificates = async (name: string, at: KeyPath) => {
    const text = await textOf(name, at);
    if (text === undefined) return undefined;
    const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    const wrong = blocks.findIndex((block) => !isCertificate(block));
    if (blocks.length > 0 && wrong === -1) return `${blocks.join("\n")}\n`;
    const found = wrong === -1 ? "none" : `number ${wrong + 1} that cannot be read`;
    report({ path: at, text: `expected certificates in PEM form in ${placeOf(name)}, found ${found}` });
    return undefined;
  };

  const publicKeys = async (name: string, at: KeyPath) => {
    const text = await read(name, at);
    try {
      if (text !== undefined) parsePublicKeys(text);
      return text;
    } catch (error) {
      report({ path: at, text: `${path(name)}: ${(error as Error).message}` });
      return undefined;
    }
  };

  const keyPair = async (certificate: string, key: string, at: KeyPath) => {
    const chain = await certificates(certificate, [...at, "certificate"]);
    const text = await textOf(key, [...at, "key"]);
    if (chain === undefined || text === undefined) return undefined;
    const wrong = keyProblem(text, chain);
    if (wrong !== undefined)
      report({ path: [...at, "key"], text: `expected the certificate's private key in ${placeOf(key)}, found ${wrong}` });
    return wrong === undefined ? { certificate: chain, key: text } : undefined;
  };

  return { path, secret, users, certificates, publicKeys, keyPair };
};

/** No path begins like this. */
const isPem = (text: string): boolean => text.trimStart().startsWith("-----BEGIN ");

const keyProblem = (pem: string, chain: string): string | undefined => {
  if (/ENCRYPTED/.test(pem)) return "one that is encrypted";
  try {
    return new X509Certificate(chain).checkPrivateKey(createPrivateKey(pem)) ? undefined : "that of another certificate";
  } catch {
    return "none that can be read";
  }
};

const isCertificate = (pem: string): boolean => {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
};
