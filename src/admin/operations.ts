// What an administrator can ask of Layover: plain values in, plain JSON out. Implemented by the running server (app-admin.ts), by its
// client over HTTP (remote.ts), and on the store alone when no server runs; one suite (test/suites/operations.ts) runs over them.

/** How far a long operation has come. */
export interface Progress {
  readonly done: number;
  /** Unknown while it is still being counted. */
  readonly total?: number;
  readonly unit: "blobs" | "bytes" | "images";
  /** What is being worked on. */
  readonly at?: string;
}

/** What goes down with a question. */
export interface Call {
  /** Fires when nobody waits for the answer any more: the work stops. */
  readonly signal: AbortSignal;
  /** Called as often as the work likes. */
  readonly progress: (progress: Progress) => void;
}

export interface Status {
  readonly version: string;
  readonly startedAt: string;
  readonly uptimeMs: number;
  /** The folder that it serves. */
  readonly data: string;
  readonly ready: boolean;
  /** What is wrong, or worth knowing. */
  readonly notes: readonly string[];
}

export type Nothing = Record<string, never>;

/** Every method throws AdminError. */
export interface Operations {
  status(input: Nothing, call: Call): Promise<Status>;
}

export type OperationName = keyof Operations;
