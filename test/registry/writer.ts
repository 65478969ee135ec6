// Writes that go by one site, as its door tells of them; what they bring is kept.
import { onTestFinished } from "vitest";
import { observe } from "../../src/http/observe.ts";
import { type Logger, silent } from "../../src/lib/log.ts";
import { parseRequest } from "../../src/oci/request.ts";
import { pushesUnderWay, watchPush } from "../../src/registry/keep-push.ts";
import type { Push, Pushed } from "../../src/registry/pushed.ts";
import type { stack } from "./stack.ts";

export interface Write extends Partial<Push> {
  /** In the pieces in which it comes. */
  readonly body?: readonly Buffer[];
  /** What upstream does with it, and says. Whatever it says has come after the whole body unless told. */
  readonly send: () => Promise<Partial<Pushed>>;
}

export const writer = (
  { site, policy, facts, blobs, clock }: Pick<ReturnType<typeof stack>, "site" | "policy" | "facts" | "blobs" | "clock">,
  log: Logger = silent,
) => {
  const pushes = pushesUnderWay();
  onTestFinished(() => pushes.close());
  const keeping = { ...pushes, site, facts, blobs, log };
  const { deletes } = pushes;
  const parts = { site, policy, facts, clock, log, deletes, watch: (...args: WatchArgs) => watchPush(keeping, ...args) };
  const write = (method: string, target: string, { body = [], send, ...more }: Write): Promise<void> => {
    const [path = "", query] = target.split("?", 2);
    const request = parseRequest(method, path, new URLSearchParams(query));
    const given = { method, target, client: "192.0.2.7", length: undefined, contentRange: undefined, mediaType: undefined };
    return observe(parts, { ...given, ...more }, request, async (offer) => {
      for (const piece of body) offer?.(piece);
      return { status: 0, isWhole: true, ...(await send()) };
    });
  };
  return { write, pushes };
};

type WatchArgs = Parameters<typeof watchPush> extends [unknown, ...infer Rest] ? Rest : never;
