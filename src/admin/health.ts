// Whether this front end is well: it can answer what DNS sends to it. Asked by /readyz and by the parent.
import { OciError } from "../oci/error.ts";
import type { BlobStore } from "../store/blobs.ts";
import { StoreFull } from "../store/blobs.ts";
import type { FactStore } from "../store/facts.ts";

export interface Condition {
  readonly ready: boolean;
  /** What is wrong, or worth knowing; empty when all is well. */
  readonly notes: readonly string[];
}

export interface HealthParts {
  readonly blobs: BlobStore;
  readonly facts: FactStore;
  /** Whether what is new goes by without being kept. */
  readonly isFull: () => boolean;
  readonly isDraining: () => boolean;
}

/** Tries the store for real. A full disk is no illness: everything is still answered, only not kept. Never rejects. */
export const condition = async ({ blobs, facts, isFull, isDraining }: HealthParts): Promise<Condition> => {
  if (isDraining()) return { ready: false, notes: ["shutting down"] };
  const notes: string[] = [];
  let ready = true;
  try {
    await facts.ping("layover.invalid");
  } catch (error) {
    ready = false;
    notes.push(`the fact store does not answer: ${reasonOf(error)}`);
  }
  try {
    const stage = await blobs.stage(1);
    try {
      await stage.append(Buffer.of(0));
    } finally {
      await stage.discard(new OciError("UNAVAILABLE", "health check"));
    }
  } catch (error) {
    if (!(error instanceof StoreFull)) ready = false;
    notes.push(
      error instanceof StoreFull
        ? `nothing new is kept: ${error.message}`
        : `the blob store cannot be written: ${reasonOf(error)}`,
    );
  }
  if (isFull() && notes.length === 0) notes.push("nothing new is kept: there is no room, and nothing that is held may go");
  return { ready, notes };
};

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
