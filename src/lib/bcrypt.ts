// Passwords against bcrypt hashes, away from the event loop: one at a time, in turns between those who ask, and only so many waiting.
// Who floods it waits for himself.
import { Worker } from "node:worker_threads";

interface Question {
  readonly password: string;
  readonly hash: string;
  readonly resolve: (isRight: boolean) => void;
  readonly reject: (error: Error) => void;
}

/** Questions that wait: of one who asks, and in all. */
const PER_ASKER = 8;
const IN_ALL = 100;

/** Too many are waiting. */
export class BcryptBusy extends Error {
  constructor() {
    super("too many logins are being checked");
    this.name = "BcryptBusy";
  }
}

export class Bcrypt {
  #worker: Worker | undefined;
  #asked: Question | undefined;
  /** By asker; whoever was served last goes to the end. */
  readonly #waiting = new Map<string, Question[]>();
  #count = 0;
  #isClosed = false;

  /** Throws BcryptBusy. */
  compare(password: string, hash: string, asker: string): Promise<boolean> {
    const own = this.#waiting.get(asker) ?? [];
    if (this.#isClosed || own.length >= PER_ASKER || this.#count >= IN_ALL) return Promise.reject(new BcryptBusy());
    return new Promise((resolve, reject) => {
      own.push({ password, hash, resolve, reject });
      this.#waiting.set(asker, own);
      this.#count += 1;
      this.#next();
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const worker = this.#worker;
    this.#lost(new BcryptBusy());
    for (const [, questions] of this.#waiting) for (const { reject } of questions) reject(new BcryptBusy());
    this.#waiting.clear();
    await worker?.terminate();
  }

  #next(): void {
    if (this.#asked !== undefined) return;
    const [first] = this.#waiting;
    if (first === undefined) return;
    const [asker, questions] = first;
    this.#asked = questions.shift();
    this.#count -= 1;
    this.#waiting.delete(asker);
    if (questions.length > 0) this.#waiting.set(asker, questions);
    const { password, hash } = this.#asked!;
    this.#worker ??= this.#start();
    this.#worker.postMessage({ password, hash });
  }

  #start(): Worker {
    const worker = new Worker(new URL("./bcrypt-worker.ts", import.meta.url));
    worker.unref();
    worker.on("message", (isRight: boolean) => {
      this.#asked?.resolve(isRight);
      this.#asked = undefined;
      this.#next();
    });
    worker.on("error", (error) => {
      if (this.#worker !== worker) return;
      this.#lost(error as Error);
      if (!this.#isClosed) this.#next();
    });
    return worker;
  }

  #lost(error: Error): void {
    this.#worker = undefined;
    this.#asked?.reject(error);
    this.#asked = undefined;
  }
}
