// What an administrator can ask of Layover: plain values in, plain JSON out. Implemented by the running server (app-admin.ts), by its
// client over HTTP (remote.ts), and on the store alone when no server runs; one suite (test/suites/operations.ts) runs over them.
import type { Listing, Shown, Status } from "./answers.ts";

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

export type Nothing = Record<string, never>;

export interface ListInput {
  /** Nothing: the sites; a site: its repositories; a repository: its tags. */
  readonly of?: string | undefined;
  /** Where the page begins: behind this name. */
  readonly after?: string | undefined;
  /** 1 to 1,000 entries; 100 when it is left out. */
  readonly limit?: number | undefined;
}

export interface ReferenceInput {
  /** As people write it: `ghcr.io/acme/app:1`, `ubuntu`, `…@sha256:…`. */
  readonly reference: string;
}

/** Every method throws AdminError. */
export interface Operations {
  status(input: Nothing, call: Call): Promise<Status>;
  /** What is held, page by page. */
  list(input: ListInput, call: Call): Promise<Listing>;
  /** One image, by tag (`latest` when it is left out) or digest: what is held of it and why. */
  show(input: ReferenceInput, call: Call): Promise<Shown>;
}

export type OperationName = keyof Operations;
