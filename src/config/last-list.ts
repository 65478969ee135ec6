// Where the last list of what is mirrored that was right is kept: a start, or a crash, must not take a mirror away because its list is wrong just then.
import { join } from "node:path";

export const lastListIn = (data: string): string => join(data, "mirror.last");
