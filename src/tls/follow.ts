// The CA of a server that runs: what a command changes in its files holds here within seconds. Whatever is wrong with them, the last whole
// state goes on.
import { stat } from "node:fs/promises";
import type { Logger } from "../lib/log.ts";
import { type Ca, readCa } from "./ca.ts";
import { type CaOptions, planOf } from "./plan.ts";
import { anchorOf, type Root } from "./root.ts";
import { ending, endingNote, signersOf } from "./standing.ts";

export interface FollowedCa extends Ca {
  /** What is worth knowing about it, for people. */
  readonly notes: () => readonly string[];
  /** Whether it signs for any of the names; if not, no client can be served. */
  readonly canSign: () => boolean;
  readonly close: () => void;
}

const LOOK_MS = 2_000;
const WARN_AGAIN_MS = 86_400_000;

/** Looks at the files every two seconds; nobody waits for it. */
export const followCa = (opened: Ca, options: CaOptions, log: Logger): FollowedCa => {
  const { clock, names } = planOf(options);
  let ca = opened;
  let seen: string | undefined;
  let problem: string | undefined;
  let signers = printsOf(signersOf(ca.roots, names, clock()));
  let warnedAt = Number.NEGATIVE_INFINITY;
  const bare = (): readonly string[] => names.filter((name) => ca.issuerFor(name) === undefined);
  const notes = (): readonly string[] => {
    const left = bare();
    const ends = ending(ca.roots, names, clock()).map(endingNote);
    return left.length === 0
      ? ends
      : [...ends, `no root of the CA can sign for ${left.join(", ")}: \`layover ca show\` says why`];
  };

  const take = (next: Ca): void => {
    tellChanges(ca, next, log);
    ca = next;
    problem = undefined;
  };
  const look = async (): Promise<void> => {
    const state = await stateOf(options);
    if (state === seen) return;
    try {
      const next = readCa(options);
      if (next.bundle !== ca.bundle || timesOf(next) !== timesOf(ca)) take(next);
      seen = state;
    } catch (error) {
      // Looked at again next time: it may be half of a change.
      const reason = (error as Error).message;
      if (problem !== reason) log.warn({ reason }, "the CA's files were changed and are not whole: the CA from before goes on");
      problem = reason;
    }
  };
  const tellSigners = (): void => {
    const present = printsOf(signersOf(ca.roots, names, clock()));
    if (present !== signers) log.warn({ roots: present.split(" ") }, "signing has gone over to another root");
    signers = present;
  };
  const warn = (): void => {
    if (clock() - warnedAt < WARN_AGAIN_MS && clock() >= warnedAt) return;
    warnedAt = clock();
    for (const note of notes()) log.warn(note);
  };

  let isLooking = false;
  const round = async (): Promise<void> => {
    if (isLooking) return;
    isLooking = true;
    await look();
    isLooking = false;
    tellSigners();
    warn();
  };
  // What was changed while no server ran is in the log all the same.
  for (const root of opened.roots.filter(({ from }) => from > 0)) log.info(termsOf(root), "signing was planned");
  void round();
  const timer = setInterval(() => void round(), LOOK_MS);
  timer.unref();
  return {
    origin: opened.origin,
    get bundle() {
      return ca.bundle;
    },
    get fingerprints() {
      return ca.fingerprints;
    },
    get roots() {
      return ca.roots;
    },
    get notAfter() {
      return ca.notAfter;
    },
    issuerFor: (name) => ca.issuerFor(name),
    notes,
    canSign: () => names.some((name) => ca.issuerFor(name) !== undefined),
    close: () => clearInterval(timer),
  };
};

/** Changes with every rename: two files that were replaced within one second differ in their inodes. */
const stateOf = async ({ certificateFile, keyFile }: CaOptions): Promise<string> => {
  const states = await Promise.all(
    [certificateFile, keyFile].map((file) => stat(file, { bigint: true }).catch((error: NodeJS.ErrnoException) => error)),
  );
  return states.map((state) => (state instanceof Error ? state.code : `${state.ino} ${state.mtimeNs} ${state.size}`)).join();
};

const timesOf = ({ roots }: Ca): string => roots.map(({ certificate, from }) => `${certificate.fingerprint256} ${from}`).join();

const printsOf = (roots: ReadonlySet<Root>): string =>
  [...new Set([...roots].map((root) => anchorOf(root).certificate.fingerprint256))].toSorted().join(" ");

/** One line for each certificate that came or went, and one for each time that was set anew. */
const tellChanges = (before: Ca, after: Ca, log: Logger): void => {
  for (const root of after.fingerprints.filter((print) => !before.fingerprints.includes(print)))
    log.warn({ root }, "a root was published: clients need ca.crt again");
  for (const root of before.fingerprints.filter((print) => !after.fingerprints.includes(print)))
    log.warn({ root }, "a root was taken away");
  const old = new Map(before.roots.map((root) => [root.certificate.fingerprint256, root.from]));
  for (const root of after.roots.filter(({ certificate, from }) => from !== (old.get(certificate.fingerprint256) ?? 0)))
    log.warn(termsOf(root), "signing was planned anew");
};

const termsOf = ({ name, certificate, from }: Root) => ({
  issuer: name,
  fingerprint: certificate.fingerprint256,
  from: new Date(from).toISOString(),
});
