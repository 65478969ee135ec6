// What `/readyz` says, read by those who ask it: it may be of another version, or no Layover at all.
import type { Condition } from "./health.ts";

export type Readiness = "ready" | NonNullable<Condition["reason"]> | "unknown";

const REASONS: readonly string[] = ["ill", "shutting down", "bypass"] satisfies Condition["reason"][];

/** `unknown`: not what a Layover says. */
export const readinessOf = (status: number, body: string): Readiness => {
  const said = parse(body);
  if (status === 200) return said.ready === true ? "ready" : "unknown";
  if (status !== 503) return "unknown";
  return REASONS.includes(said.reason as string) ? (said.reason as Readiness) : "ill";
};

const parse = (body: string): { readonly ready?: unknown; readonly reason?: unknown } => {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
};
