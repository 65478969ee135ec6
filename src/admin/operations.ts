// What an administrator can ask of Layover: plain values in, plain JSON out. Implemented by the running server (app-admin.ts), by its
// client over HTTP (remote.ts), and on the store alone when no server runs; one suite (test/suites/operations.ts) runs over them.
import type {
  BypassAnswer,
  Collected,
  Explained,
  ExportPlan,
  ImportCheck,
  ImportedManifest,
  ImportedTag,
  Listing,
  MirrorCheckAnswer,
  MirrorStatusAnswer,
  MirrorSyncAnswer,
  Progress,
  RefreshAnswer,
  Removed,
  Shown,
  Status,
  Verified,
  WarmAnswer,
} from "./answers.ts";
import type { TagOperations } from "./tags-operations.ts";

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

export interface ReferencesInput {
  /** 1 to 1,000. */
  readonly references: readonly string[];
  /** The `Authorization` to ask upstream with; without it as anybody, or as Layover where access is shared. For images of one site. */
  readonly credential?: string | undefined;
}

export interface WarmInput extends ReferencesInput {
  /** `os/architecture[/variant]`; that of the server when it is left out. */
  readonly platforms?: "all" | readonly string[] | undefined;
}

export interface CollectInput {
  readonly dryRun?: boolean | undefined;
}

export interface ExportInput {
  /** 1 to 1,000; a repository alone is all of its tags that are held. */
  readonly references: readonly string[];
  /** `os/architecture[/variant]`; those that are held when it is left out. */
  readonly platforms?: readonly string[] | undefined;
  /** Signatures and the like that are held with them: unless it is false. */
  readonly referrers?: boolean | undefined;
}

export interface ImportCheckInput {
  /** Up to 1,000 of each. */
  readonly references?: readonly string[] | undefined;
  readonly digests?: readonly string[] | undefined;
}

export interface ImportManifestInput {
  /** The repository and the digest: `ghcr.io/acme/app@sha256:…`. */
  readonly reference: string;
  /** What it is where it does not say so itself. */
  readonly mediaType?: string | undefined;
  /**
   * What it names and the bundle does not have. Whoever asks has seen the bytes of all the rest: a manifest's word alone must not
   * make anybody's blobs this repository's.
   */
  readonly lacks?: readonly string[] | undefined;
}

export interface ImportTagInput {
  /** `ghcr.io/acme/app:1`. */
  readonly reference: string;
  readonly digest: string;
}

export interface BypassInput {
  /** Left out: until it is ended. */
  readonly forMs?: number | undefined;
}

export interface MirrorInput {
  /** By their names, or as images that entries mirror: then only those. Left out: all of them. */
  readonly entries?: readonly string[] | undefined;
}

export interface MirrorSyncInput extends MirrorInput {
  readonly missingOnly?: boolean | undefined;
  /** The number of a CI job, for backup names. */
  readonly run?: string | undefined;
  /** 0: it is only begun. Left out: until it has ended, which it does when nobody waits any more. ms. */
  readonly waitMs?: number | undefined;
}

/** Every method throws AdminError. */
export interface Operations extends TagOperations {
  status(input: Nothing, call: Call): Promise<Status>;
  /** Whether hijacked names lead to the registries themselves on somebody's word, and which. */
  bypass(input: Nothing, call: Call): Promise<BypassAnswer>;
  /** From now on they do, for that time, whatever was said before. */
  bypassOn(input: BypassInput, call: Call): Promise<BypassAnswer>;
  bypassOff(input: Nothing, call: Call): Promise<BypassAnswer>;
  /** What is held, page by page. */
  list(input: ListInput, call: Call): Promise<Listing>;
  /** One image, by tag (`latest` when it is left out) or digest: what is held of it and why. */
  show(input: ReferenceInput, call: Call): Promise<Shown>;
  /** Forgets a tag, a digest, or without either a whole repository. Throws NOT_HELD when nothing was known of it, HELD. */
  remove(input: ReferenceInput, call: Call): Promise<Removed>;
  /** Reads back every blob; what is corrupt is put aside, to come anew with the next request. */
  verify(input: Nothing, call: Call): Promise<Verified>;
  /** Takes away what nothing needs; a dry run only says what. */
  collect(input: CollectInput, call: Call): Promise<Collected>;
  /** Which rule applies, and what would happen to a client that asked now. Asks nobody. */
  explain(input: ReferenceInput, call: Call): Promise<Explained>;
  /** Fetches images ahead, as a client would. */
  warm(input: WarmInput, call: Call): Promise<WarmAnswer>;
  /** Asks upstream now whether tags have moved, however fresh they are. */
  refresh(input: ReferencesInput, call: Call): Promise<RefreshAnswer>;
  /** What a sync would change. */
  mirrorCheck(input: MirrorInput, call: Call): Promise<MirrorCheckAnswer>;
  /** Brings mirrored tags up to date. What is under way already is joined. */
  mirrorSync(input: MirrorSyncInput, call: Call): Promise<MirrorSyncAnswer>;
  /** When each entry of the mirror was synced and will be, and what is wrong with that. */
  mirrorStatus(input: Nothing, call: Call): Promise<MirrorStatusAnswer>;
  /** What a bundle of these images consists of. */
  exportPlan(input: ExportInput, call: Call): Promise<ExportPlan>;
  /** Whether these names can be imported, and which of these bytes are here. */
  importCheck(input: ImportCheckInput, call: Call): Promise<ImportCheck>;
  /** Makes a manifest whose bytes are here, and what it names, the repository's; children come before what names them. */
  importManifest(input: ImportManifestInput, call: Call): Promise<ImportedManifest>;
  /** Moves the tag to a manifest that the repository has. */
  importTag(input: ImportTagInput, call: Call): Promise<ImportedTag>;
}

export type OperationName = keyof Operations;
