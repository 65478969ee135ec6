// A site's first upstream, pushed to as Layover itself. What the registry could not do this time is tried again, for a while.
import { pause } from "../lib/abort.ts";
import { Retry, type RetryOptions } from "../lib/retry.ts";
import { isOciError } from "../oci/error.ts";
import type { Pusher } from "../oci/pusher.ts";
import type { Context } from "../oci/registry.ts";
import { drop } from "./body.ts";
import type { AskingParts } from "./turn.ts";
import { isWorthAnother, RETRY, upload } from "./upload.ts";
import { checkDigest, locationOf, scopeOf, writerOf } from "./write.ts";

export const pusherTo = (parts: AskingParts, retry: RetryOptions = RETRY): Pusher => {
  const write = writerOf(parts);
  return {
    mount: (repo, digest, from, ctx) =>
      again(retry, ctx, async () => {
        const query = new URLSearchParams({ mount: digest, from });
        const answer = await write(
          {
            method: "POST",
            path: `/v2/${repo}/blobs/uploads/?${query.toString()}`,
            expects: [201, 202],
            scope: `${scopeOf(repo)} repository:${from}:pull`,
          },
          ctx,
        );
        drop(answer.body);
        if (answer.status === 201) return true;
        // an upload that nobody goes on with: the registry has it for nothing
        const cancelled = {
          method: "DELETE",
          path: locationOf(answer, write.origins).href,
          expects: [202, 204],
          scope: scopeOf(repo),
        } as const;
        await write(cancelled, ctx).then(
          ({ body }) => drop(body),
          () => ctx.signal.throwIfAborted(),
        );
        return false;
      }),
    upload: (...given) => upload({ write, retry }, ...given),
    putManifest: (repo, reference, { bytes, descriptor: { digest, mediaType } }, ctx) =>
      again(retry, ctx, async () => {
        const answer = await write(
          {
            method: "PUT",
            path: `/v2/${repo}/manifests/${reference}`,
            headers: { "content-type": mediaType, "content-length": String(bytes.length) },
            body: () => Promise.resolve(bytes),
            expects: [201, 200, 202, 204],
            scope: scopeOf(repo),
            unknown: "MANIFEST_BLOB_UNKNOWN",
          },
          ctx,
        );
        drop(answer.body);
        checkDigest(answer, digest);
        return { isListed: answer.header("oci-subject") !== undefined };
      }),
    deleteTag: (repo, tag, ctx) =>
      again(retry, ctx, async () => {
        const path = `/v2/${repo}/manifests/${tag}`;
        const answer = await write(
          { method: "DELETE", path, expects: [202, 200, 204], scope: scopeOf(repo), unknown: "MANIFEST_UNKNOWN" },
          ctx,
        ).catch((error: unknown) => {
          if (isOciError(error) && error.isUnknown) return undefined;
          throw error;
        });
        if (answer !== undefined) drop(answer.body);
      }),
  };
};

const again = async <T>(options: RetryOptions, { signal }: Context, work: () => Promise<T>): Promise<T> => {
  const retry = new Retry(options);
  for (;;) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      const ms = isWorthAnother(error) ? retry.next(error.retryAfterMs) : undefined;
      if (ms === undefined) throw error;
      await pause(ms, signal);
    }
  }
};
