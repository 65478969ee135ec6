// A bundle to be read: a tar with an OCI image layout in it, or the folder of one. Of a tar the headers are read once, and contents where they lie; nothing
// is ever unpacked, so that no name in it can lead anywhere. Whoever made it may mean ill: all that is read into memory is bounded.
import { createReadStream } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { BLOCK, parseHeader, parsePax, spanOf, TarError, type TarHeader } from "../lib/tar.ts";
import { DOCKER, digestAt, INDEX, LAYOUT } from "../oci/image-layout.ts";

export interface Bundle {
  /** `undefined`: there is no such file in it. Bytes. */
  size(path: string): Promise<number | undefined>;
  read(path: string): Readable;
  close(): Promise<void>;
}

/** All of it, where it is no longer than that. Throws Error. */
export const readSmall = async (bundle: Bundle, path: string, limit: number): Promise<Buffer> => {
  const size = await bundle.size(path);
  if (size === undefined) throw new Error(`the bundle has no ${path}`);
  if (size > limit) throw new Error(`${path} of the bundle has ${size} bytes, which none needs`);
  const chunks: Buffer[] = [];
  for await (const chunk of bundle.read(path) as AsyncIterable<Buffer>) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  if (bytes.length !== size) throw new Error(`${path} of the bundle has changed while it was read`);
  return bytes;
};

/** Throws Error, with what is wrong with it. */
export const openBundle = async (path: string): Promise<Bundle> => {
  const found = await stat(path);
  if (found.isDirectory()) return folderBundle(path);
  return tarBundle(await open(path, "r"), path);
};

const folderBundle = (folder: string): Bundle => ({
  async size(path) {
    const found = await stat(join(folder, known(path))).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
      throw error;
    });
    return found?.isFile() === true ? found.size : undefined;
  },
  read: (path) => createReadStream(join(folder, known(path))),
  close: async () => undefined,
});

const isKnown = (path: string): boolean => path === LAYOUT || path === INDEX || path === DOCKER || digestAt(path) !== undefined;

const known = (path: string): string => {
  if (!isKnown(path)) throw new Error(`${path} is no file of a layout`);
  return path;
};

interface Place {
  readonly offset: number;
  readonly size: number;
}

/** The file is its own to close. */
export const tarBundle = async (file: FileHandle, name: string): Promise<Bundle> => {
  try {
    const places = await placesIn(file);
    return {
      size: async (path) => places.get(path)?.size,
      read(path) {
        const place = places.get(path);
        if (place === undefined) throw new Error(`the bundle has no ${path}`);
        return Readable.from(portions(file, place), { objectMode: false });
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error instanceof TarError ? new Error(`${name}: ${error.message}`, { cause: error }) : error;
  }
};

/** Bytes that are read at once. */
const PORTION = 256 * 1024;

/** Of one open file many are read: none of them closes it. */
async function* portions(file: FileHandle, { offset, size }: Place): AsyncGenerator<Buffer> {
  for (let done = 0; done < size; ) {
    const buffer = Buffer.allocUnsafeSlow(Math.min(PORTION, size - done));
    await fill(file, buffer, offset + done);
    yield buffer;
    done += buffer.length;
  }
}

const MAX_ENTRIES = 500_000;
/** Of what a header says of the next one. Bytes. */
const MAX_EXTENDED = 1024 * 1024;

/** Where each file of the layout lies; what else is in it is passed over. */
const placesIn = async (file: FileHandle): Promise<Map<string, Place>> => {
  const { size: total } = await file.stat();
  const places = new Map<string, Place>();
  let next: { path?: string; size?: number } = {};
  let entries = 0;
  for (let at = 0; ; entries += 1) {
    if (entries > MAX_ENTRIES) throw new TarError(`it has more than ${MAX_ENTRIES} entries`);
    const header = await headerAt(file, at, total);
    if (header === undefined) return places;
    const isExtended = header.kind === "pax" || header.kind === "long name" || header.kind === "global pax";
    const place = { offset: at + BLOCK, size: isExtended ? header.size : (next.size ?? header.size) };
    if (place.offset + place.size > total)
      throw new TarError(`it ends in the middle of ${quote(next.path ?? header.name)}: it is not whole`);
    at = place.offset + spanOf(place.size);
    if (isExtended) {
      next = { ...next, ...(await extended(file, header, place)) };
      continue;
    }
    if (header.kind === "sparse") throw new TarError("it has sparse files, which no image needs");
    if (header.kind === "file") note(places, next.path ?? header.name, place);
    next = {};
  }
};

/** `undefined`: that was the last. */
const headerAt = async (file: FileHandle, at: number, total: number): Promise<TarHeader | undefined> => {
  if (at + BLOCK > total) throw new TarError(at === 0 ? "it is no tar archive" : "it has no end: it is not whole");
  const block = Buffer.alloc(BLOCK);
  await fill(file, block, at);
  if (at === 0 && block[0] === 0x1f && block[1] === 0x8b)
    throw new TarError("it is compressed: `zcat FILE | layover import -` reads it");
  return parseHeader(block);
};

const extended = async (
  file: FileHandle,
  { kind }: TarHeader,
  { offset, size }: Place,
): Promise<{ path?: string; size?: number }> => {
  if (size > MAX_EXTENDED) throw new TarError("it has a header that is longer than any needs to be");
  const bytes = Buffer.alloc(size);
  await fill(file, bytes, offset);
  if (kind === "long name") return { path: bytes.toString("utf8").replace(/\0.*$/s, "") };
  const said = parsePax(bytes);
  if (kind === "pax") return said;
  if (said.path !== undefined || said.size !== undefined) throw new TarError("it gives all of its files one name or size");
  return {};
};

const note = (places: Map<string, Place>, name: string, place: Place): void => {
  const path = name.replace(/^(?:\.\/)+/, "");
  if (!isKnown(path)) return;
  // of a blob any copy will do, as long as it is what it is called
  if (places.has(path) && digestAt(path) === undefined) throw new TarError(`it has ${path} twice`);
  if (!places.has(path)) places.set(path, place);
};

const fill = async (file: FileHandle, into: Buffer, at: number): Promise<void> => {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await file.read(into, done, into.length - done, at + done);
    if (bytesRead === 0) throw new TarError("it became shorter while it was read");
    done += bytesRead;
  }
};

const quote = (text: string): string => JSON.stringify(text.slice(0, 100));
