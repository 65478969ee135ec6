// Who a credential stands for, without keeping the credential: a keyed hash of it (DESIGN "Subject").
// What is read from an unverified token here only ever narrows a right, or sends a question upstream that could have been spared.
import { createHmac } from "node:crypto";
import type { Credential } from "../oci/registry.ts";
import { PUBLIC } from "../store/facts.ts";

/** `key` is secret and of this installation, so that a copy of the facts tells nothing about a guessed password. */
export const subjectOf = (credential: Credential | undefined, key: Uint8Array): string =>
  credential === undefined ? PUBLIC : keyedHash(credential, key);

export const keyedHash = (text: string, key: Uint8Array): string => createHmac("sha256", key).update(text).digest("base64url");

interface Claims {
  readonly exp?: unknown;
  readonly access?: unknown;
}

/** When a bearer JWT says that it ends, in ms since the epoch; `undefined` for anything else. */
export const expiryOf = (credential: Credential | undefined): number | undefined => {
  const exp = claimsOf(credential)?.exp;
  return typeof exp === "number" && Number.isFinite(exp) ? Math.floor(exp * 1000) : undefined;
};

/** Whether a bearer token shows, by its `access` claim, that nothing but pulling is allowed to it. */
export const showsPullOnly = (credential: Credential): boolean => {
  const access = claimsOf(credential)?.access;
  if (!Array.isArray(access) || access.length === 0) return false;
  return access.every((entry: unknown) => actionsOf(entry)?.every((action) => action === "pull") ?? false);
};

/** Whether a bearer token shows that more than pulling is allowed to it. */
export const showsPush = (credential: Credential): boolean => {
  const access = claimsOf(credential)?.access;
  if (!Array.isArray(access)) return false;
  return access.some((entry: unknown) => actionsOf(entry)?.some((action) => action !== "pull") ?? false);
};

/** Names of the repositories whose pulling an `access` claim allows. */
export const pullsIn = (access: unknown): string[] => {
  if (!Array.isArray(access)) return [];
  return access.slice(0, MAX_ENTRIES).flatMap((entry: unknown) => {
    const actions = actionsOf(entry);
    if (actions === undefined || !(actions.includes("pull") || actions.includes("*"))) return [];
    const { type, name } = entry as { type?: unknown; name?: unknown };
    return type === "repository" && typeof name === "string" && name.length <= MAX_NAME ? [name] : [];
  });
};

/** As a bearer JWT has it, unverified; `undefined`: it shows nothing of the kind. */
export const pullsShown = (credential: Credential): string[] | undefined => {
  const access = claimsOf(credential)?.access;
  return Array.isArray(access) ? pullsIn(access) : undefined;
};

const MAX_ENTRIES = 200;
const MAX_NAME = 255;

const actionsOf = (entry: unknown): readonly unknown[] | undefined => {
  if (typeof entry !== "object" || entry === null || !("actions" in entry)) return undefined;
  return Array.isArray(entry.actions) ? entry.actions : undefined;
};

const claimsOf = (credential: Credential | undefined): Claims | undefined => {
  const match = /^bearer +[\w-]+\.([\w-]{1,16384})\.[\w-]*$/i.exec(credential ?? "");
  if (match === null) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(match[1]!, "base64url").toString());
    return typeof claims === "object" && claims !== null ? claims : undefined;
  } catch {
    return undefined;
  }
};
