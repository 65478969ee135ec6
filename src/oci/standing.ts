// How an upstream stands, for people: plain values, with nothing in them that a client has sent.

/** Times in milliseconds from now. */
export interface Standing {
  readonly origin: string;
  readonly state: "up" | "failing" | "unreachable";
  readonly why?: string;
  /** How long it has been away. */
  readonly forMs?: number;
  readonly nextTryInMs?: number;
}

/** What a payer may still ask; who it is, is not told. */
export interface BudgetStanding {
  readonly limit?: number;
  readonly remaining?: number;
  /** Nothing is asked on its account until then. */
  readonly retryInMs?: number;
}

/** One upstream of a site, its budgets and its queue. */
export interface OriginStanding extends Standing {
  /** Requests under way, answers that are still being read among them. */
  readonly running: number;
  /** For their turn. */
  readonly waiting: number;
  /** What clients send through to it, pushes above all: in no queue and no budget. */
  readonly passing?: number;
  readonly budgets: readonly BudgetStanding[];
}
