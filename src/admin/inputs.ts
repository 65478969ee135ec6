// The input of each operation as it comes over the wire: a query's texts, or a JSON body. Unknown keys are refused.
import { z } from "zod";
import { AdminError } from "./error.ts";
import type { OperationName, Operations } from "./operations.ts";

type Input<N extends OperationName> = Parameters<Operations[N]>[0];

const text = z.string().max(1_000);

/** Queries are texts. */
const limit = z.coerce.number().pipe(z.int().min(1).max(1_000));

const INPUTS = {
  status: z.strictObject({}),
  list: z.strictObject({ of: text.optional(), after: text.optional(), limit: limit.optional() }),
  show: z.strictObject({ reference: text }),
} as const satisfies { [N in OperationName]: z.ZodType<Input<N>> };

/** Throws INVALID with what is wrong where. */
export const parseInput = (name: OperationName, given: unknown): unknown => {
  const outcome = INPUTS[name].safeParse(given);
  if (outcome.success) return outcome.data;
  const problems = outcome.error.issues.map(({ path, message }) => `${path.join(".") || "input"}: ${message}`);
  throw new AdminError("INVALID", problems.join("; ").slice(0, 1_000));
};
