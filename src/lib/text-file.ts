// A small file that somebody else has named: its path may lead to a pipe that nobody writes to, a device without an end or a disk that is
// gone, none of which may keep whoever reads it.
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { within } from "./abort.ts";

const READ_WITHIN = 5_000;

const REASONS: Record<string, string> = {
  ENOENT: "there is no such file",
  EACCES: "may not be read by this user",
  EISDIR: "is a folder",
  ENOTDIR: "a part of the path is no folder",
  ELOOP: "its symbolic links go in a circle",
};

/** What the system's refusal to open or read a file means to a user. */
export const whyUnread = (error: unknown): string => {
  const { code, message } = error as NodeJS.ErrnoException;
  return REASONS[code ?? ""] ?? message;
};

/** `message` is why, without the path. Holds nothing of the file's. */
export class UnreadableFile extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UnreadableFile";
  }
}

/** As UTF-8. Throws UnreadableFile, also for more than `max` bytes and after five seconds. */
export const readTextFile = async (file: string, max: number): Promise<string> => {
  try {
    // a disk that is gone keeps whoever reads from it, whatever a signal says
    return await within(textIn(file, max), READ_WITHIN);
  } catch (error) {
    if (error instanceof UnreadableFile) throw error;
    throw new UnreadableFile(whyUnread(error));
  }
};

const textIn = async (file: string, max: number): Promise<string> => {
  // O_NONBLOCK: opening a pipe would wait for its writer, in a thread that cannot be called back
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = await handle.stat();
    if (found.isDirectory()) throw new UnreadableFile(REASONS["EISDIR"]!);
    if (!found.isFile()) throw new UnreadableFile("is no regular file");
    if (found.size > max) throw new UnreadableFile(`is larger than ${sizeOf(max)}`);
    // what the kernel makes up while it is read (/proc) has no size beforehand
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(Math.max(found.size, 4_096) + 1), { position: 0 });
    if (bytesRead > max) throw new UnreadableFile(`is larger than ${sizeOf(max)}`);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
};

const sizeOf = (bytes: number): string => (bytes % 2 ** 20 === 0 ? `${bytes / 2 ** 20} MiB` : `${bytes / 1_024} KiB`);
