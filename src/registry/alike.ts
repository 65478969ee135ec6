// Whoever is refused is not to learn whether a thing is held: not by the answer, not by its time, not by what upstream is asked for it.
// A HEAD comes first for what is held, and the client's GET for what is not. So for each who gets nothing both have been asked in the
// end, and he is told what upstream says to his own. It costs nothing where upstream says yes.
import { SingleFlight } from "../lib/single-flight.ts";
import { isOciError, type OciError } from "../oci/error.ts";
import { isDigestReference } from "../oci/reference.ts";
import type { BlobQuery, Context, ManifestQuery, Operation, Registry, Tally } from "../oci/registry.ts";
import { intercept } from "./intercept.ts";
import { NotMirrored } from "./not-mirrored.ts";
import type { Rights } from "./rights.ts";
import type { Tags } from "./tags.ts";

/** What upstream has been asked for each request of a client, and to what its refusals were the answer. */
export class Questions {
  readonly #asked = new WeakMap<Tally, Set<Operation>>();
  readonly #answered = new WeakMap<Error, Operation>();

  /** Around upstream. */
  noted(upstream: Registry): Registry {
    return intercept(upstream, (operation, query, ctx, next) => {
      this.#asked.set(ctx.tally, this.of(ctx).add(operation));
      return next(query, ctx).catch((error: unknown) => {
        if (isOciError(error)) this.#answered.set(error, operation);
        throw error;
      });
    });
  }

  /** A request is known by its tally, which goes wherever its questions go. */
  of({ tally }: Context): Set<Operation> {
    return this.#asked.get(tally) ?? new Set<Operation>();
  }

  /** Whether it is upstream's word to this question, whoever asked it. */
  isAnswerTo(operation: Operation, error: OciError): boolean {
    return this.#answered.get(error) === operation;
  }
}

export interface AlikeParts {
  readonly questions: Questions;
  /** Noted, and what it answers marked as not kept. */
  readonly upstream: Registry;
  readonly rights: Rights;
  readonly tags: Tags;
}

type Thing = BlobQuery | ManifestQuery;

/** Around the cache. */
export const alike = (cache: Registry, parts: AlikeParts): Registry => {
  const { upstream, questions, tags } = parts;
  const rest = askTheRest(parts);
  return intercept(cache, (operation, query, ctx, next) => {
    const answer = next(query, ctx);
    // a question of our own tells nobody anything, and for a list upstream is asked the same whatever is held
    if (ctx.client === "" || operation === "listTags" || operation === "listReferrers") return answer;
    return answer.catch(async (error: unknown) => {
      if (ctx.signal.aborted || !isAnswer(error) || error instanceof NotMirrored) throw error;
      const thing = query as unknown as Thing;
      const settled = "reference" in thing ? await tags.settled(thing) : thing;
      await rest(operation, settled, ctx, error);
      if (questions.isAnswerTo(operation, error)) throw error;
      // the same operation of the same interface: its query and answer are of the same types
      return (upstream[operation] as unknown as typeof next)({ ...query, ...settled }, ctx);
    });
  });
};

/** Somebody has spoken; that nobody is there is the same for everything. */
const isAnswer = (error: unknown): error is OciError =>
  isOciError(error) && (error.upstream !== undefined || error.isRefusal || error.isUnknown);

/** What is asked of something that is held, and of a tag that is known, before or after the client's own question. */
const askTheRest = ({ upstream, rights, questions }: AlikeParts) => {
  const running = new SingleFlight<unknown>();
  const once = (what: string, ctx: Context, ask: (ctx: Context) => Promise<unknown>) =>
    running
      .run(`${what}\n${ctx.credential ?? ""}`, ctx.signal, (signal) => ask({ ...ctx, signal }))
      .catch(() => ctx.signal.throwIfAborted());

  return async (operation: Operation, thing: Thing, ctx: Context, error: OciError): Promise<void> => {
    const asked = questions.of(ctx);
    const { repo } = thing;
    const mayRead = (await rights.standing(repo, ctx.credential)) === "live";
    if ("digest" in thing) {
      if (!asked.has("statBlob")) await once(`${repo}@${thing.digest}`, ctx, (c) => upstream.statBlob(thing, c));
    } else if (operation === "getManifest" && !asked.has("statManifest")) {
      // which of its tags are held may be known to whoever may read the repository
      const isHis = mayRead && !isDigestReference(thing.reference);
      if (!isHis) await once(`${repo} ${thing.reference}`, ctx, (c) => upstream.statManifest(thing, c));
    }
    // that what is held is gone, and not hidden, is proved so
    if (error.isUnknown && !mayRead && !asked.has("listTags"))
      await once(`${repo}/`, ctx, (c) => upstream.listTags({ repo, n: 1 }, c));
  };
};
