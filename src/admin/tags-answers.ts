// What is told of tags and their past, as it stands in JSON: a contract, as in answers.ts.
import type { Bytes, HoldEntry } from "./answers.ts";

/** `whole`: it can be pulled without anybody else. Of an index that is so with one of its images, where the others were never here. */
export type Wholeness = "whole" | "partly" | "no";

export interface TagState {
  readonly digest: string;
  /** As of its manifest, or its configuration. */
  readonly created?: string;
  readonly held: Wholeness;
}

export interface TagRow {
  readonly tag: string;
  readonly digest: string;
  /** When it came to stand for that, and why. */
  readonly movedAt?: string;
  readonly reason?: string;
  readonly created?: string;
  readonly hold?: HoldEntry;
  /** Whether its manifest is held. */
  readonly held: boolean;
  /** Of what is held of it, its parts included. */
  readonly bytes: number;
}

/** A page; `next` is the `after` of the one behind it. */
export interface TagPage {
  readonly site: string;
  readonly repository: string;
  readonly tags: readonly TagRow[];
  readonly next?: string;
}

export interface MoveEntry extends Partial<TagState> {
  /** Counted from 1, the newest: what `rollback` and `diff` take. */
  readonly line: number;
  readonly at: string;
  readonly reason: string;
  /** It is what the tag stands for now. */
  readonly now: boolean;
}

export interface TagHistory {
  readonly reference: string;
  readonly site: string;
  readonly repository: string;
  readonly tag: string;
  /** None: it stands for nothing now. */
  readonly digest?: string;
  readonly hold?: HoldEntry;
  /** Newest first; a move without a digest took the tag away. */
  readonly moves: readonly MoveEntry[];
  /** There are older ones than these. */
  readonly more: boolean;
}

export interface MissingEntry {
  readonly digest: string;
  readonly role: "config" | "layer" | "manifest";
  readonly platform?: string;
  /** `not linked`: its bytes are here, but upstream has not yet been heard to say that this repository has it. */
  readonly why: "not held" | "not linked";
}

export interface HeldTag {
  readonly reference: string;
  /** What it stood for before; none: nothing. */
  readonly from?: string;
  readonly to: string;
  readonly created?: string;
  readonly hold: HoldEntry;
  /** While no front end is healthy, or in a bypass, the site's names lead to the registry itself: what that says then holds. */
  readonly failOpen: boolean;
  /** What is not here of it; at most 100. */
  readonly missing: readonly MissingEntry[];
  readonly missingCount: number;
}

export interface ReleasedTag {
  readonly reference: string;
  readonly digest?: string;
  /** None: nobody held it. */
  readonly released?: HoldEntry;
  /** What moves it from now on: upstream with the next question, a sync, a push, or nothing. */
  readonly movedBy: "upstream" | "sync" | "push" | "nothing";
  /** The same for people. */
  readonly next: string;
}

export interface ConfigChange {
  readonly what: "created" | "platform" | "user" | "workdir" | "entrypoint" | "cmd" | "env" | "label" | "port" | "volume";
  /** Of a variable, a label, a port, a volume. */
  readonly name?: string;
  readonly from?: string;
  readonly to?: string;
}

export interface LayerEntry {
  readonly digest: string;
  readonly size?: number;
}

/** One image that is in both, and is not the same. */
export interface ImageDiff {
  readonly platform?: string;
  readonly from: string;
  readonly to: string;
  readonly config: readonly ConfigChange[];
  readonly layers: {
    readonly shared: Bytes;
    readonly removed: readonly LayerEntry[];
    readonly added: readonly LayerEntry[];
  };
}

export interface ReferrerEntry {
  readonly digest: string;
  readonly artifactType?: string;
  /** A tag by which signers name it. */
  readonly tag?: string;
}

export interface DiffSide extends TagState {
  readonly mediaType?: string;
  readonly platforms: readonly string[];
  /** Those that are known here; none: they have not been asked for. */
  readonly referrers?: readonly ReferrerEntry[];
}

export interface TagDiff {
  readonly reference: string;
  readonly from: DiffSide;
  readonly to: DiffSide;
  readonly same: boolean;
  readonly platforms: {
    readonly removed: readonly string[];
    readonly added: readonly string[];
    readonly same: readonly string[];
  };
  readonly images: readonly ImageDiff[];
  /** What could not be looked at, as it is not here. */
  readonly notHeld: readonly { readonly side: "from" | "to"; readonly digest: string; readonly what: string }[];
}
