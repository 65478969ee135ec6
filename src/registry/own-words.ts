// A HEAD that upstream was asked in place of a client's GET is refused without a word, and the GET would not have been. So what is held
// would answer a stranger otherwise than what is not: whoever is refused is told what upstream says to the GET itself.
import { isOciError, type OciError } from "../oci/error.ts";

/** Throws what `ask` is refused with; gives its answer where upstream has thought better of it, and throws `error` in all other cases. */
export const inOwnWords = async <T>(error: unknown, ask: () => Promise<T>): Promise<T> => {
  if (!isNo(error)) throw error;
  return ask().catch((own: unknown) => {
    throw isNo(own) ? own : error;
  });
};

const isNo = (error: unknown): error is OciError => isOciError(error) && (error.isRefusal || error.isUnknown);
