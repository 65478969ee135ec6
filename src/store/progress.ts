// How far a long piece of work has come; plain JSON.

export interface WorkProgress {
  readonly done: number;
  /** Unknown while it is still being counted. It may change while things come and go. */
  readonly total?: number;
  readonly unit: "blobs" | "bytes";
  /** What is being worked on. */
  readonly at?: string;
}

export type OnProgress = (progress: WorkProgress) => void;
