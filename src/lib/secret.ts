// A secret of this installation: random bytes in a file that only its owner reads.
import { randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, unlink } from "node:fs/promises";
import { dirname } from "node:path";

const LENGTH = 32;

/** Made on first use, whole or not at all; two processes that begin at once end up with the same one. */
export const installationSecret = async (path: string): Promise<Uint8Array> => {
  const known = await read(path);
  if (known !== undefined) return known;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(randomBytes(LENGTH));
    await file.sync();
  } finally {
    await file.close();
  }
  // a link, unlike a rename, leaves a file that another process has put there in the meantime
  await link(draft, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  await unlink(draft);
  return (await read(path))!;
};

const read = async (path: string): Promise<Uint8Array | undefined> => {
  try {
    const bytes = await readFile(path);
    if (bytes.length !== LENGTH) throw new Error(`${path} is not ${LENGTH} bytes long`);
    return bytes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
};
