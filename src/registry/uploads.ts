// Uploads under way on a hosted site, by ids that nobody can guess: bounded in number and in idleness. A process that ends takes all of
// them with it, and the store sweeps what was in its way.
import { randomBytes } from "node:crypto";
import type { Clock } from "../lib/clock.ts";
import { OciError } from "../oci/error.ts";
import type { BlobStore } from "../store/blobs.ts";
import { type Opening, type Owner, Upload } from "./upload.ts";

export interface UploadLimits {
  readonly inAll: number;
  /** Of one owner at one address. */
  readonly perClient: number;
  /** An upload that nobody has come back to for so long is over. Milliseconds. */
  readonly idle: number;
  /** And after so long, where others find no room. Milliseconds. */
  readonly spare: number;
  /** A writer from whom nothing comes for so long has gone, whatever the socket says. Milliseconds. */
  readonly silence: number;
  /** Bytes for which others make way on a client's word that they will come; for more they do as it comes. */
  readonly believed: number;
}

export const LIMITS: UploadLimits = {
  ...{ inAll: 1_000, perClient: 200 },
  ...{ idle: 60 * 60_000, spare: 10_000, silence: 5 * 60_000 },
  believed: Number.POSITIVE_INFINITY,
};

/** Of clients that nobody knows: a header alone empties no store. */
export const STRANGERS: UploadLimits = { ...LIMITS, believed: 16 * 1024 * 1024 };

const ID = /^[\w-]{22}$/;

export class Uploads {
  readonly #blobs: BlobStore;
  readonly #clock: Clock;
  readonly #limits: UploadLimits;
  readonly #open = new Map<string, Upload>();
  readonly #sweeping: NodeJS.Timeout;

  constructor(blobs: BlobStore, clock: Clock, limits: UploadLimits = LIMITS) {
    this.#blobs = blobs;
    this.#clock = clock;
    this.#limits = limits;
    this.#sweeping = setInterval(() => void this.#drop(limits.idle), Math.max(100, limits.idle / 10)).unref();
  }

  /** Throws TOOMANYREQUESTS. */
  open(opening: Opening): Upload {
    const { inAll, perClient, idle } = this.#limits;
    const own = [...this.#open.values()].filter(
      ({ opening: { subject, client } }) => subject === opening.subject && client === opening.client,
    );
    if (own.length >= perClient || (this.#open.size >= inAll && !this.#giveUpOne()))
      throw new OciError("TOOMANYREQUESTS", "too many uploads are under way: finish or cancel some", { retryAfterMs: idle / 10 });
    const id = randomBytes(16).toString("base64url");
    const over = () => this.#open.delete(id);
    const makeWay = () => this.#drop(this.#limits.spare);
    const { silence, believed } = this.#limits;
    const upload = new Upload({ id, opening, blobs: this.#blobs, clock: this.#clock, silence, believed, makeWay, over });
    this.#open.set(id, upload);
    return upload;
  }

  /** Throws BLOB_UPLOAD_UNKNOWN. */
  find(id: string, { repo, subject }: Owner): Upload {
    const upload = ID.test(id) ? this.#open.get(id) : undefined;
    if (upload === undefined || upload.opening.repo !== repo || upload.opening.subject !== subject)
      throw new OciError("BLOB_UPLOAD_UNKNOWN", "no such upload is under way: it is over, or was never begun here");
    return upload;
  }

  async close(): Promise<void> {
    clearInterval(this.#sweeping);
    await Promise.all([...this.#open.values()].map((upload) => upload.cancel()));
  }

  /** Of the client that has the most of them, so that no few can keep all others out. False: none is idle for long enough. */
  #giveUpOne(): boolean {
    const before = this.#clock() - this.#limits.spare;
    const byClient = Map.groupBy(this.#open.values(), ({ opening: { client } }) => client);
    const [most = []] = [...byClient.values()].sort((one, other) => other.length - one.length);
    const idle = most.filter((upload) => !upload.isBusy && upload.touchedAt < before);
    const [oldest] = idle.sort((one, other) => one.touchedAt - other.touchedAt);
    // it is over at once; what it leaves on the disk goes meanwhile
    void oldest?.cancel().catch(() => undefined);
    return oldest !== undefined;
  }

  /** Ends what nobody has come back to for so long, in ms. True: there was something. */
  async #drop(idle: number): Promise<boolean> {
    const before = this.#clock() - idle;
    const over = [...this.#open.values()].filter((upload) => !upload.isBusy && upload.touchedAt < before);
    await Promise.all(over.map((upload) => upload.cancel()));
    return over.length > 0;
  }
}
