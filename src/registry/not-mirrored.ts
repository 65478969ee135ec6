// What is said to whoever may read a repository, and asks for what its mirror does not hold. Only to those: to everybody else it would tell
// what is held.
import { OciError } from "../oci/error.ts";
import { isDigestReference, type Reference, type Repository } from "../oci/reference.ts";
import type { Site } from "../sites.ts";
import type { LeftOut } from "./mirrored-for.ts";

/** Our own word, and not upstream's. */
export class NotMirrored extends OciError {
  constructor(message: string) {
    super("DENIED", message);
  }
}

type Named = Pick<Site, "host" | "hijackNames" | "lookupNames">;

export const notMirrored = (site: Named, repo: Repository, reference: Reference, leftOut?: LeftOut): NotMirrored => {
  const image = written(site, repo, reference);
  if (leftOut !== undefined) {
    const { tag, entry, platform = "no platform", platforms } = leftOut;
    const held = `of ${written(site, repo, tag)} this mirror holds ${platforms.join(", ")} alone`;
    return new NotMirrored(`${image} is for ${platform}: ${held} (\`platforms\` of its entry "${entry}")`);
  }
  if (isDigestReference(reference))
    return new NotMirrored(`${image} is not in this mirror: no image of it that is held names it`);
  return new NotMirrored(`${image} is not in this mirror; its operator adds it under \`mirror:\` (layover mirror check)`);
};

/** As people write it: Docker Hub is what they call it, not where its registry is. */
const written = ({ host, hijackNames, lookupNames }: Named, repo: Repository, reference: Reference): string => {
  const name = lookupNames.find((other) => !hijackNames.includes(other)) ?? host;
  return `${name}/${repo}${isDigestReference(reference) ? "@" : ":"}${reference}`;
};
