// A resolver behind one connection that is kept for many questions at once. It is opened when it is needed and again when it has gone;
// one that has become a hole, where nothing comes back, is left.
import { performance } from "node:perf_hooks";
import { NoAnswer, type Patience, type Question } from "./exchange.ts";
import type { Resolver } from "./resolver.ts";

export interface Connection {
  readonly isOpen: boolean;
  /** When octets last came, in monotonic milliseconds; undefined: none yet. */
  readonly heardAt: number | undefined;
  /** As a resolver's; rejects at once when the connection ends. */
  ask(question: Question, patience: Patience): Promise<Buffer>;
  close(): void;
}

export const keptResolver = (name: string, connect: () => Connection): Resolver => {
  let current: Connection | undefined;
  const open = (): Connection => {
    if (current?.isOpen !== true) current = connect();
    return current;
  };
  return {
    name,
    ask: async (question, { ms, signal }) => {
      const started = performance.now();
      const connection = open();
      const isOld = connection.heardAt !== undefined;
      try {
        return await connection.ask(question, { ms, signal });
      } catch (error) {
        const isLate = error instanceof NoAnswer && error.late;
        if (isLate && (connection.heardAt ?? 0) < started) connection.close();
        // The other side may have closed it for its idleness while the question was on its way (RFC 7766 6.2.4).
        if (isLate || signal.aborted || !isOld || connection.isOpen) throw error;
      }
      return open().ask(question, { ms: ms - (performance.now() - started), signal });
    },
    close: () => current?.close(),
  };
};
