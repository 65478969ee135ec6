// One connection to a SQLite file, whose statements are compiled once and found by their text.
import { DatabaseSync, type StatementSync } from "node:sqlite";

export type Row = Record<string, unknown>;
type Value = string | number | null | Uint8Array;

/** How long a lock that somebody else holds, such as a backup, is waited for. All else waits meanwhile, so it is short. Milliseconds. */
const BUSY = 1_000;

export class Connection {
  readonly database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** Throws what SQLite says of the file. */
  constructor(path: string) {
    this.database = new DatabaseSync(path, { timeout: BUSY });
  }

  get(sql: string, ...values: Value[]): Row | undefined {
    return this.#statement(sql).get(...values);
  }

  all(sql: string, ...values: Value[]): Row[] {
    return this.#statement(sql).all(...values);
  }

  /** How many rows it changed. */
  run(sql: string, ...values: Value[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  /** All of `work`, or nothing of it. */
  atomically<T>(work: () => T): T {
    this.database.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.database.exec("COMMIT");
      return result;
    } catch (error) {
      // a full disk has ended it already
      if (this.database.isTransaction) this.database.exec("ROLLBACK");
      throw error;
    }
  }

  close(): void {
    this.#statements.clear();
    if (this.database.isOpen) this.database.close();
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}
