// Links as an upstream has told of them. What was hosted here under the same name, before the site had an upstream, is nobody's by its word.
import type { Link } from "../store/facts.ts";

export const told = (link: Link | undefined): Link | undefined => (link?.hostedAt === undefined ? link : undefined);
