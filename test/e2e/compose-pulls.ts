// New images at the yard's registries, and how much of them has moved.
import { Image } from "./image.ts";
import { until } from "./until.ts";
import type { Upstream } from "./upstream.ts";

/** A new image at an upstream, and what its pulls are called by. */
export const publish = async (upstream: Upstream, repository: string, tag = "v1") => {
  const image = await Image.make(4 * 1024 * 1024);
  await upstream.put(image, repository, tag);
  return { image, name: `${upstream.host}/${repository}:${tag}`, mark: await upstream.mark() };
};

/** nginx writes its log when a request has ended, which may be after the client has all of it. */
export const moved = async (upstream: Upstream, mark: number, size: number): Promise<number> => {
  await until("nginx to have written its log", 2_000, async () => (await upstream.blobBytes(mark)) >= size).catch(
    () => undefined,
  );
  return upstream.blobBytes(mark);
};
