// What each root in the CA's files is there for: what `ca show`, `ca rotate --retire` and the warnings go by.
import { anchorOf, canIssue, chain, endOf, type Root } from "./root.ts";
import { issuerOf } from "./roots.ts";

/** Going: it signs for nothing that is served any more, and stays for clients that trust it still. */
export type Standing = "signs" | "coming" | "going" | "no key" | "expired" | "not valid yet";

/** What signs for at least one of these names now. */
export const signersOf = (roots: readonly Root[], names: readonly string[], now: number): ReadonlySet<Root> =>
  new Set(names.map((name) => issuerOf(roots, name, now)).filter((root) => root !== undefined));

export const standingOf = (root: Root, signers: ReadonlySet<Root>, now: number): Standing => {
  if (signers.has(root)) return "signs";
  if (endOf(root) <= now) return "expired";
  if (root.key === undefined) return "no key";
  if (!canIssue(root, now)) return "not valid yet";
  return root.from > now ? "coming" : "going";
};

/** Those that `ca rotate --retire` takes away. A certificate without a key here may be another Layover's: it is left. */
export const superseded = (roots: readonly Root[], names: readonly string[], now: number): readonly Root[] => {
  const signers = signersOf(roots, names, now);
  return roots.filter((root) => root.key !== undefined && ["going", "expired"].includes(standingOf(root, signers, now)));
};

const WARN_MS = 90 * 86_400_000;

/** Signers whose end is near, when nothing that lasts is coming in their place. */
export const ending = (roots: readonly Root[], names: readonly string[], now: number): readonly Root[] => {
  const lasting = (name: string): boolean => {
    const last = issuerOf(roots, name, Math.max(now, ...roots.map(({ from }) => from)));
    return last !== undefined && endOf(last) - now > WARN_MS;
  };
  return [
    ...signersOf(
      roots,
      names.filter((name) => !lasting(name)),
      now,
    ),
  ].filter((root) => endOf(root) - now <= WARN_MS);
};

/** For people. */
export const endingNote = (root: Root): string =>
  `the CA "${anchorOf(root).name}" ends on ${new Date(endOf(root)).toISOString().slice(0, 10)}: \`layover ca rotate\` in time, so that builders can fetch ca.crt`;

/** Whether a certificate of this fingerprint (SHA-256, or the beginning of it, with or without colons) is in its chain. */
export const isMeant = (root: Root, fingerprint: string): boolean => {
  const wanted = fingerprint.replaceAll(":", "").toUpperCase();
  return chain(root).some(({ certificate }) => certificate.fingerprint256.replaceAll(":", "").startsWith(wanted));
};
