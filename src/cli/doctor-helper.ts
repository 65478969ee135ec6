// Doctor's check of credential helpers: each is asked as the server would ask it, by whoever runs the doctor.
import type { Site } from "../sites.ts";
import { askHelper } from "../upstream/credential-helper.ts";
import { type Finding, fail, ok, reasonOf } from "./doctor-finding.ts";

/** Of sites that use theirs. `timeout`: milliseconds for each. */
export const checkHelpers = (sites: readonly Site[], timeout: number): Promise<Finding[]> => {
  const questions = sites.flatMap(({ access, credentials, offline, upstreams }) => {
    const helper = access === "shared" && !offline ? credentials?.helper : undefined;
    return helper === undefined ? [] : upstreams.map((upstream) => ({ helper, upstream }));
  });
  return Promise.all(questions.map(({ helper, upstream }) => askOne(helper, upstream, timeout)));
};

const askOne = async (helper: string, upstream: URL, timeout: number): Promise<Finding> => {
  try {
    await askHelper(helper, upstream, AbortSignal.timeout(timeout));
    return ok("helper", `docker-credential-${helper} has credentials for ${upstream.host}`);
  } catch (error) {
    const mend = `run: echo ${upstream.host} | docker-credential-${helper} get, as the server's user`;
    const isLate = error instanceof Error && error.name === "TimeoutError";
    return fail("helper", isLate ? `docker-credential-${helper} does not answer in time` : reasonOf(error), mend);
  }
};
