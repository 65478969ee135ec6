// Whether this front end is well: it can answer what DNS sends to it. Asked by /readyz and by the parent.
import { OciError } from "../oci/error.ts";
import type { BlobStore } from "../store/blobs.ts";
import { StoreFull } from "../store/blobs.ts";
import type { FactStore } from "../store/facts.ts";
import type { BypassTimes } from "./bypass.ts";

export interface Condition {
  /** Whether names are to lead here. */
  readonly ready: boolean;
  /** Why not. A bypass is no illness: who comes is served, and a front end that is ill as well says so. */
  readonly reason?: "ill" | "shutting down" | "bypass";
  readonly bypass?: BypassTimes;
  /** What is wrong, or worth knowing; empty when all is well. */
  readonly notes: readonly string[];
}

export interface HealthParts {
  readonly blobs: BlobStore;
  readonly facts: FactStore;
  /** Whether what is new goes by without being kept. */
  readonly isFull: () => boolean;
  readonly isDraining: () => boolean;
  readonly bypass: () => Promise<BypassTimes | undefined>;
  /** Whether there is any name that a certificate can be shown for. */
  readonly canSign: () => boolean;
  /** Worth knowing, and no illness. */
  readonly more: () => readonly string[];
}

/** Tries the store for real. A full disk is no illness: everything is still answered, only not kept. Never rejects. */
export const condition = async (parts: HealthParts): Promise<Condition> => {
  if (parts.isDraining()) return { ready: false, reason: "shutting down", notes: ["shutting down"] };
  const [bypass, facts, blobs] = await Promise.all([parts.bypass(), factsProblem(parts), blobsProblem(parts)]);
  const { isFull } = parts;
  const notes = [
    ...(bypass === undefined ? [] : [bypassNote(bypass)]),
    ...[facts, blobs?.note].filter((note) => note !== undefined),
  ];
  if (isFull() && blobs === undefined) notes.push("nothing new is kept: there is no room, and nothing that is held may go");
  notes.push(...parts.more());
  const isIll = facts !== undefined || blobs?.isIll === true || !parts.canSign();
  const reason = isIll ? "ill" : bypass && "bypass";
  return { ready: reason === undefined, ...(reason && { reason }), ...(bypass && { bypass }), notes };
};

const bypassNote = ({ until }: BypassTimes): string =>
  `bypass: names lead to the registries themselves ${until === undefined ? "until `layover bypass off`" : `until ${until}`}`;

const factsProblem = async ({ facts }: HealthParts): Promise<string | undefined> => {
  try {
    await facts.ping("layover.invalid");
    return undefined;
  } catch (error) {
    return `the fact store does not answer: ${reasonOf(error)}`;
  }
};

const blobsProblem = async ({ blobs }: HealthParts): Promise<{ note: string; isIll: boolean } | undefined> => {
  try {
    const stage = await blobs.stage(1);
    try {
      await stage.append(Buffer.of(0));
    } finally {
      await stage.discard(new OciError("UNAVAILABLE", "health check"));
    }
    return undefined;
  } catch (error) {
    if (error instanceof StoreFull) return { note: `nothing new is kept: ${error.message}`, isIll: false };
    return { note: `the blob store cannot be written: ${reasonOf(error)}`, isIll: true };
  }
};

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
