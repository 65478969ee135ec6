// So that a new name outlives a power cut: the folder that it stands in has to be synced too.
import { open } from "node:fs/promises";

/** Network and user-space file systems that know no such thing keep names in their own way. */
const NOT_KNOWN = new Set(["EINVAL", "ENOTSUP"]);

export const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder);
  try {
    await handle.sync();
  } catch (error) {
    if (!NOT_KNOWN.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
  } finally {
    await handle.close();
  }
};
