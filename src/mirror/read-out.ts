// A body read for nothing but to have come: that is how it gets into the cache which it is read through.
import type { Readable } from "node:stream";

/** It ends cleanly only when every byte of it was right. Throws what broke it off, or the signal's reason. */
export const readOut = async (body: Readable, came: (bytes: number) => void, signal: AbortSignal): Promise<void> => {
  const leave = () => void body.destroy(signal.reason as Error);
  signal.addEventListener("abort", leave, { once: true });
  try {
    signal.throwIfAborted();
    for await (const chunk of body as AsyncIterable<Buffer>) came(chunk.length);
  } finally {
    signal.removeEventListener("abort", leave);
    body.destroy();
  }
};
