// The one error of the CA's files: what is wrong with which file, and what to do about it. It never carries anything of a key.

export class CaError extends Error {
  /** The file or directory that it is about. */
  readonly path: string;
  readonly problem: string;
  readonly mend: string;

  constructor(what: { path: string; problem: string; mend: string }, cause?: unknown) {
    super(`${what.path}: ${what.problem}\n  ${what.mend}`, cause === undefined ? {} : { cause });
    this.name = "CaError";
    this.path = what.path;
    this.problem = what.problem;
    this.mend = what.mend;
  }
}
