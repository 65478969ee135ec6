// Around a blob store: keeps account of what is held. What is committed becomes a holding before it gets its name, what is deleted
// is one no more, what is read or asked for counts as used. A hit costs one entry in a map, and no promise more.
// Whatever comes and goes of one digest does so in turns, so that a file and its fact never part.
import type { Readable } from "node:stream";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { Turns } from "../lib/turns.ts";
import { type Algorithm, algorithmOf, type Digest, digestOf } from "../oci/digest.ts";
import { partsOf } from "../oci/parts.ts";
import type { ByteRange } from "../oci/range.ts";
import type { BlobStore, Stage, StoreFull } from "./blobs.ts";
import type { Good } from "./checked.ts";
import type { DiskBlobs } from "./disk.ts";
import type { FactStore } from "./facts.ts";
import type { Readers } from "./readers.ts";
import type { Uses } from "./uses.ts";

export interface HeldParts {
  /** The disk, or what answers in front of it. */
  readonly blobs: BlobStore;
  readonly disk: DiskBlobs;
  readonly facts: Pick<FactStore, "holdings" | "inventory" | "hosting">;
  readonly readers: Readers;
  readonly good: Good;
  readonly uses: Uses;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A manifest is no longer. Bytes. */
const MAX_MANIFEST = 8 * 1024 * 1024;

export class Held implements BlobStore {
  readonly #parts: HeldParts;
  readonly #turns = new Turns<Digest>();
  readonly #filling = new Set<Digest>();

  constructor(parts: HeldParts) {
    this.#parts = parts;
  }

  stat(digest: Digest): Promise<{ readonly size: number } | undefined> {
    this.#parts.uses.note(digest);
    return this.#parts.blobs.stat(digest);
  }

  read(digest: Digest, range?: ByteRange): Promise<Readable | undefined> {
    this.#parts.uses.note(digest);
    return this.#parts.blobs.read(digest, range);
  }

  readAll(digest: Digest, limit: number): Promise<Buffer | undefined> {
    this.#parts.uses.note(digest);
    return this.#parts.blobs.readAll(digest, limit);
  }

  async stage(expected?: number, algorithm?: Algorithm): Promise<Stage> {
    return new HeldStage(await this.#parts.blobs.stage(expected, algorithm), this.#commit);
  }

  async fill(digest: Digest, expected?: number): Promise<Stage> {
    const stage = await this.#parts.blobs.fill(digest, expected);
    this.#filling.add(digest);
    return new HeldStage(stage, this.#commit, () => this.#filling.delete(digest));
  }

  /** Whether its bytes are on their way. */
  isFilling(digest: Digest): boolean {
    return this.#filling.has(digest);
  }

  leftover(digest: Digest): number {
    return this.#parts.blobs.leftover(digest);
  }

  delete(digest: Digest): Promise<boolean> {
    const { blobs, facts } = this.#parts;
    return this.#turns.take(digest, async () => {
      const settle = await this.#account(digest);
      const wasHeld = await blobs.delete(digest);
      await facts.holdings.release(digest);
      settle();
      return wasHeld;
    });
  }

  close(): Promise<void> {
    return this.#parts.blobs.close();
  }

  /** Deletes what nobody needs: false while it is read, or a held manifest names it. */
  evict(digest: Digest): Promise<boolean> {
    const { readers, facts, blobs } = this.#parts;
    return this.#turns.take(digest, async () => {
      if (readers.has(digest)) return false;
      const settle = await this.#account(digest);
      if (!(await facts.holdings.releaseIdle(digest))) return false;
      try {
        await blobs.delete(digest);
      } catch (error) {
        await this.#adopt(digest);
        throw error;
      }
      settle();
      return true;
    });
  }

  /** Out of the store and of memory, to be brought anew by the next request. */
  quarantine(digest: Digest): Promise<boolean> {
    const { disk, blobs, facts, log } = this.#parts;
    return this.#turns.take(digest, async () => {
      const settle = await this.#account(digest);
      const wasHosted = await facts.hosting.isHosted(digest);
      const wasHeld = await disk.quarantine(digest, wasHosted);
      if (wasHosted && wasHeld)
        log.error({ digest }, "a hosted blob is spoilt: pushing it again heals it; what the disk made of it is in salvage/");
      await blobs.delete(digest);
      await facts.holdings.release(digest);
      settle();
      return wasHeld;
    });
  }

  /** Makes the facts say of this digest what is there. `added`: a file without a fact; `dropped`: a fact without a file. */
  reconcile(digest: Digest): Promise<"added" | "dropped" | "right"> {
    const { disk, facts } = this.#parts;
    return this.#turns.take(digest, async () => {
      const [file, fact] = [await disk.stat(digest), await facts.holdings.holding(digest)];
      if (file === undefined && fact !== undefined) {
        await facts.holdings.release(digest);
        disk.room.give(fact.size);
        return "dropped";
      }
      if (file === undefined || fact !== undefined) return "right";
      await this.#adopt(digest);
      disk.room.give(-file.size);
      return "added";
    });
  }

  /**
   * The room counts what the facts say, and gets back what the file was: what it is to be told of what goes, where the file had
   * become another length behind our back, or had gone.
   */
  async #account(digest: Digest): Promise<() => void> {
    const { disk, facts } = this.#parts;
    const fact = await facts.holdings.holding(digest);
    const file = fact === undefined ? undefined : await disk.stat(digest);
    return () => {
      if (fact !== undefined) disk.room.give(fact.size - (file?.size ?? 0));
    };
  }

  /** It has been read back and is right. */
  confirm(digest: Digest): void {
    this.#parts.good.add(digest);
  }

  /** Makes a held blob the manifest that a repository has it as. False: none does. */
  recognise(digest: Digest): Promise<boolean> {
    const { facts } = this.#parts;
    return this.#turns.take(digest, async () => {
      const fact = await facts.holdings.holding(digest);
      const parts = fact === undefined || fact.size > MAX_MANIFEST ? undefined : await this.#partsOf(digest);
      if (fact === undefined || parts === undefined) return false;
      await facts.holdings.hold({ digest, size: fact.size, at: fact.addedAt, parts });
      return true;
    });
  }

  async #adopt(digest: Digest): Promise<void> {
    const { disk, facts, clock } = this.#parts;
    const file = await disk.stat(digest);
    if (file === undefined) return;
    const parts = await this.#partsOf(digest);
    const at = Math.min(clock(), await disk.lastTouched(digest));
    await facts.holdings.hold({ digest, size: file.size, at, ...(parts === undefined ? {} : { parts }) });
  }

  /** Where a repository has it as a manifest, and it is what it is called. */
  async #partsOf(digest: Digest): Promise<Digest[] | undefined> {
    const { disk, facts } = this.#parts;
    const linkers = await facts.inventory.linkers(digest, { limit: 100 });
    if (!linkers.some(({ mediaType }) => mediaType !== undefined)) return undefined;
    const bytes = await disk.readAll(digest, MAX_MANIFEST);
    return bytes === undefined || digestOf(bytes, algorithmOf(digest)) !== digest ? undefined : partsOf(bytes);
  }

  /** The fact first: a crash then leaves at most a fact without a file. A fact that cannot be written takes no blob from anybody. */
  readonly #commit: Commit = (digest, size, parts, land) => {
    const { facts, blobs, good, uses, clock, log } = this.#parts;
    return this.#turns.take(digest, async () => {
      // who brings again what has long been held is about to need it
      uses.note(digest);
      const settle = await this.#account(digest).catch(() => nothing);
      await facts.holdings
        .hold({ digest, size, at: clock(), ...(parts === undefined ? {} : { parts }) })
        .catch((error: unknown) => log.error({ digest, err: String(error) }, "what is held could not be noted"));
      try {
        await land();
        settle();
        good.add(digest);
      } catch (error) {
        if ((await blobs.stat(digest).catch(() => undefined)) === undefined) {
          await facts.holdings.release(digest);
          settle();
        }
        throw error;
      }
    });
  };
}

type Commit = (digest: Digest, size: number, parts: readonly Digest[] | undefined, land: () => Promise<void>) => Promise<void>;

class HeldStage implements Stage {
  readonly #stage: Stage;
  readonly #commit: Commit;
  readonly #over: () => void;
  #digest: Digest | undefined;
  #committing: Promise<void> | undefined;

  constructor(stage: Stage, commit: Commit, over: () => void = nothing) {
    this.#stage = stage;
    this.#commit = commit;
    this.#over = over;
  }

  get size(): number {
    return this.#stage.size;
  }

  get left(): number {
    return this.#stage.left;
  }

  readBack(signal: AbortSignal): Promise<void> {
    return this.#stage.readBack(signal);
  }

  append(bytes: Uint8Array): Promise<void> {
    return this.#stage.append(bytes);
  }

  follow(start: number, end?: number): Readable {
    return this.#stage.follow(start, end);
  }

  async verify(digest: Digest): Promise<boolean> {
    const isRight = await this.#stage.verify(digest);
    if (isRight) this.#digest = digest;
    return isRight;
  }

  commit(parts?: readonly Digest[]): Promise<void> {
    // what is not verified has nothing to be noted under; the stage says so itself
    if (this.#digest === undefined) return this.#stage.commit();
    this.#committing ??= this.#commit(this.#digest, this.size, parts, () => this.#stage.commit()).finally(this.#over);
    return this.#committing;
  }

  /** The stage itself does not know yet of a commit that waits for its turn. */
  async discard(reason: Error): Promise<void> {
    await this.#committing?.catch(() => undefined);
    this.#over();
    await this.#stage.discard(reason);
  }

  leave(reason: Error): Promise<void> {
    this.#over();
    return this.#stage.leave(reason);
  }

  overflow(cause: StoreFull): Promise<void> {
    this.#over();
    return this.#stage.overflow(cause);
  }
}

const nothing = (): void => undefined;
