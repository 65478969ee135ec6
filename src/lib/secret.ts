// A secret of this installation: random bytes in a file that only its owner reads.
import { randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, unlink } from "node:fs/promises";
import { dirname } from "node:path";

const LENGTH = 32;

/** Made on first use, whole or not at all; two processes that begin at once end up with the same one. */
export const installationSecret = (path: string): Promise<Uint8Array> =>
  madeOnce(path, randomBytes(LENGTH), (bytes) => {
    if (bytes.length !== LENGTH) throw new Error(`${path} is not ${LENGTH} bytes long`);
    return bytes;
  });

/** The same as a line of text, which people and programs can pass on. */
export const installationToken = (path: string): Promise<string> =>
  madeOnce(path, Buffer.from(`${randomBytes(LENGTH).toString("base64url")}\n`), (bytes) =>
    tokenIn(bytes.toString("latin1"), path),
  );

/** The token in the text of such a file. Throws for one that is too short to be one, or could not stand in a header. */
export const tokenIn = (text: string, path: string): string => {
  const token = text.trim();
  if (!/^[\w.~+/=-]{20,500}$/.test(token))
    throw new Error(`${path} holds no token: at least 20 letters, digits and -._~+/= in one line`);
  return token;
};

const madeOnce = async <T>(path: string, fresh: Uint8Array, parse: (bytes: Buffer) => T): Promise<T> => {
  const known = await read(path);
  if (known !== undefined) return parse(known);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(fresh);
    await file.sync();
  } finally {
    await file.close();
  }
  // a link, unlike a rename, leaves a file that another process has put there in the meantime
  await link(draft, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  await unlink(draft);
  return parse((await read(path))!);
};

const read = async (path: string): Promise<Buffer | undefined> => {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
};
