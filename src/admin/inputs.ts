// The input of each operation as it comes over the wire: a query's texts, or a JSON body. Unknown keys are refused.
import { z } from "zod";
import { AdminError } from "./error.ts";
import type { OperationName, Operations } from "./operations.ts";

type Input<N extends OperationName> = Parameters<Operations[N]>[0];

const text = z.string().max(1_000);

/** Queries are texts. */
const limit = z.coerce.number().pipe(z.int().min(1).max(1_000));

const references = z.array(text).min(1).max(1_000);
const texts = z.array(text).max(1_000);
const digest = z.string().regex(/^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/, "expected a sha256 or sha512 digest");
const digests = z.array(digest);
/** As many as a manifest may name (oci/parts.ts), as far as they fit into a body. */
const MAX_PARTS = 3_000;
/** It goes into a header. */
const credential = z
  .string()
  .max(10_000)
  .regex(/^[\x21-\x7e][\x20-\x7e]*$/, "expected the value of an Authorization header")
  .optional();
const platform = z.string().regex(/^[a-z0-9]+(\/[a-z0-9]+){1,2}$/, "expected os/architecture or os/architecture/variant");

const entries = z.array(text).min(1).max(1_000).optional();
/** A week; timers know no more than 24 days. */
const MAX_WAIT = 7 * 24 * 3_600_000;
/** A year: whoever means longer means for ever. */
const MAX_BYPASS = 366 * 24 * 3_600_000;

const INPUTS = {
  status: z.strictObject({}),
  bypass: z.strictObject({}),
  bypassOn: z.strictObject({ forMs: z.int().min(1_000).max(MAX_BYPASS).optional() }),
  bypassOff: z.strictObject({}),
  list: z.strictObject({ of: text.optional(), after: text.optional(), limit: limit.optional() }),
  show: z.strictObject({ reference: text }),
  remove: z.strictObject({ reference: text }),
  verify: z.strictObject({}),
  collect: z.strictObject({ dryRun: z.boolean().optional() }),
  explain: z.strictObject({ reference: text }),
  warm: z.strictObject({
    references,
    credential,
    platforms: z.union([z.literal("all"), z.array(platform).min(1).max(100)]).optional(),
  }),
  refresh: z.strictObject({ references, credential }),
  mirrorCheck: z.strictObject({ entries }),
  mirrorSync: z.strictObject({
    entries,
    missingOnly: z.boolean().optional(),
    run: z
      .string()
      .regex(/^[\w.-]{1,40}$/, "expected up to 40 letters, digits, dots, dashes or underscores")
      .optional(),
    waitMs: z.int().min(0).max(MAX_WAIT).optional(),
  }),
  mirrorStatus: z.strictObject({}),
  exportPlan: z.strictObject({
    references,
    platforms: z.array(platform).min(1).max(100).optional(),
    referrers: z.boolean().optional(),
  }),
  importCheck: z.strictObject({ references: texts.optional(), digests: digests.max(1_000).optional() }),
  importManifest: z.strictObject({ reference: text, mediaType: text.optional(), lacks: digests.max(MAX_PARTS).optional() }),
  importTag: z.strictObject({ reference: text, digest }),
  tagList: z.strictObject({ of: text, after: text.optional(), limit: limit.optional() }),
  tagHistory: z.strictObject({ reference: text }),
  tagDiff: z.strictObject({ reference: text, from: text.optional(), to: text.optional() }),
  tagPin: z.strictObject({ reference: text, to: text.optional(), force: z.boolean().optional() }),
  tagRollback: z.strictObject({ reference: text, to: text.optional(), force: z.boolean().optional() }),
  tagUnpin: z.strictObject({ reference: text }),
} as const satisfies { [N in OperationName]: z.ZodType<Input<N>> };

/** Throws INVALID with what is wrong where. */
export const parseInput = (name: OperationName, given: unknown): unknown => {
  const outcome = INPUTS[name].safeParse(given);
  if (outcome.success) return outcome.data;
  const problems = outcome.error.issues.map(({ path, message }) => `${path.join(".") || "input"}: ${message}`);
  throw new AdminError("INVALID", problems.join("; ").slice(0, 1_000));
};
