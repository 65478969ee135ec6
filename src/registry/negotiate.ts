// Manifests of a type that this client's Accept leaves out (RFC 9110 §12.5.1): what is held is the same for everybody, so upstream is
// asked again with this client's own Accept and no other, and that answer is not kept. Registries make one image of an index so.
import { isOciError } from "../oci/error.ts";
import { accepts } from "../oci/media.ts";
import type { Context, ManifestQuery, ManifestStat, Registry } from "../oci/registry.ts";
import { NotMirrored } from "./not-mirrored.ts";
import type { Tags } from "./tags.ts";

export interface NegotiateParts {
  readonly upstream: Registry;
  readonly tags: Tags;
}

export const negotiate = (inner: Registry, { upstream, tags }: NegotiateParts): Registry => {
  const isSuited = ({ descriptor }: ManifestStat, { accept }: Context) => accepts(accept, descriptor.mediaType);
  const instead = async <T extends ManifestStat>(
    answer: T,
    query: ManifestQuery,
    ask: (exact: ManifestQuery) => Promise<T>,
  ): Promise<T> => {
    try {
      const settled = await tags.settled(query);
      // whoever looks before a push may have been told another than everybody pulls
      const isSettled = settled.reference === answer.descriptor.digest;
      return { ...(await ask({ ...(isSettled ? settled : query), isExact: true })), provenance: { source: "uncached" } };
    } catch (error) {
      // many registries do not look at Accept either: that is better than nothing
      if (isOciError(error) && (error.isOutage || error instanceof NotMirrored)) return answer;
      throw error;
    }
  };
  return {
    ...inner,
    async getManifest(query, ctx) {
      const answer = await inner.getManifest(query, ctx);
      return isSuited(answer, ctx) ? answer : instead(answer, query, (exact) => upstream.getManifest(exact, ctx));
    },
    async statManifest(query, ctx) {
      const answer = await inner.statManifest(query, ctx);
      return isSuited(answer, ctx) ? answer : instead(answer, query, (exact) => upstream.statManifest(exact, ctx));
    },
  };
};
