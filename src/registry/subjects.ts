// Whom a credential stands for, where one repository is concerned: itself, or whom a token is proven to have been made out for.
import type { Clock } from "../lib/clock.ts";
import type { Repository } from "../oci/reference.ts";
import type { Credential } from "../oci/registry.ts";
import type { Exchanges } from "./exchanged.ts";
import { subjectOf } from "./subject.ts";
import type { Voucher } from "./vouch.ts";

export interface Standby {
  /** Of the very credential. */
  readonly own: string;
  /** Under which its grants are kept. Another than `own` only for a token whose proof names the repository. */
  readonly subject: string;
  readonly proof: Proof | undefined;
}

/** Times in ms since the epoch. */
export interface Proof {
  /** `keys`: the token is right, and so is a right by itself. `exchange`: it only stands for the credential that it was given for. */
  readonly by: "keys" | "exchange";
  readonly since: number;
  readonly until: number;
}

export interface Subjects {
  /** As far as is known without waiting. Without a repository: whoever it is, for budgets and logins. */
  of(credential: Credential, repo?: Repository): Standby;
  /** After checking the token. */
  meet(credential: Credential, repo?: Repository): Standby | Promise<Standby>;
}

export interface SubjectsParts {
  readonly site: string;
  /** The secret under which subjects are hashed. */
  readonly secret: Uint8Array;
  readonly clock: Clock;
  readonly voucher?: Voucher | undefined;
  readonly exchanges?: Exchanges | undefined;
}

export const subjectsOf = ({ site, secret, clock, voucher, exchanges }: SubjectsParts): Subjects => {
  const judge = (own: string, repo: Repository | undefined): Standby => {
    const now = clock();
    const vouched = voucher?.peek(own);
    if (vouched !== undefined && now >= vouched.from && (repo === undefined ? now < vouched.until : vouched.pulls.has(repo)))
      return { own, subject: vouched.subject, proof: { by: "keys", since: vouched.since, until: vouched.until } };
    const exchanged = exchanges?.of(site, own);
    if (exchanged !== undefined && (repo === undefined || exchanged.pulls.has(repo)))
      return { own, subject: exchanged.subject, proof: { by: "exchange", since: exchanged.since, until: exchanged.until } };
    return { own, subject: own, proof: undefined };
  };
  return {
    of: (credential, repo) => judge(subjectOf(credential, secret), repo),
    meet(credential, repo) {
      const own = subjectOf(credential, secret);
      if (voucher === undefined || voucher.peek(own) !== undefined) return judge(own, repo);
      return voucher.check(credential, own).then(() => judge(own, repo));
    },
  };
};
