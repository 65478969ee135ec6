// The store cannot be opened: what is wrong, with which path, told to the user.
export class StoreUnusable extends Error {
  readonly path: string;

  constructor(path: string, problem: unknown) {
    super(`${path} cannot be used: ${problem instanceof Error ? problem.message : String(problem)}`, { cause: problem });
    this.name = "StoreUnusable";
    this.path = path;
  }
}

/** Another process has it. */
export class StoreInUse extends StoreUnusable {
  constructor(path: string) {
    super(path, "another Layover process is using it");
    this.name = "StoreInUse";
  }
}
