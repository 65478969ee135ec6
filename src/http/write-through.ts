// A write on its way through: to upstream, under the eyes of whoever notes and keeps what it brings. Both go on after its client has its answer.
import type { OciRequest } from "../oci/request.ts";
import type { Push } from "../registry/pushed.ts";
import type { Exchange } from "./exchange.ts";
import { type ObserveParts, observe } from "./observe.ts";
import type { PassThrough, Tap } from "./passthrough.ts";

export interface WriteThrough {
  /** Resolves when all is noted. Throws what `forward` does. */
  pass(exchange: Exchange, request: OciRequest, tap?: Tap): Promise<void>;
  /** Resolves when nothing is to be noted any more. */
  close(): Promise<void>;
}

export const writeThrough = (parts: ObserveParts, forward: PassThrough): WriteThrough => {
  const underWay = new Set<Promise<void>>();
  return {
    pass(exchange, request, tap) {
      const passing = observe(parts, pushOf(exchange), request, async (offer) => {
        const { status, headers, isWhole } = await forward(exchange, offer === undefined ? tap : tasting(offer, tap));
        return {
          status,
          location: headers.location,
          range: one(headers["range"]),
          digest: one(headers["docker-content-digest"]),
          tags: one(headers["oci-tag"])?.split(/ *, */) ?? [],
          isWhole,
        };
      });
      underWay.add(passing);
      return passing.finally(() => underWay.delete(passing));
    },
    async close() {
      await Promise.allSettled(underWay);
    },
  };
};

const tasting = (offer: (bytes: Buffer) => void, other: Tap | undefined): Tap => ({
  request(req) {
    req.on("data", offer);
    other?.request?.(req);
  },
  answer: (answer) => other?.answer?.(answer),
});

const one = (value: string | readonly string[] | undefined): string | undefined => value?.toString();

const pushOf = ({ method, req, client }: Exchange): Push => {
  const { "content-length": length, "content-range": contentRange, "content-type": mediaType } = req.headers;
  return {
    method,
    target: req.url ?? "/",
    client,
    length: length === undefined ? undefined : Number(length),
    contentRange,
    mediaType,
  };
};
