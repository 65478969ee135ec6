// Where the token lies that the admin listener asks for.
import { join } from "node:path";

/** `data` is the data folder. */
export const adminTokenIn = (data: string): string => join(data, "admin.token");
