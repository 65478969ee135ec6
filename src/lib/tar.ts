// Headers of tar archives (POSIX.1-1988 ustar, pax's extended ones, GNU's long names and large sizes): values to 512-byte blocks and back.
// No I/O: who writes knows where every byte lies before it is written, who reads may pass over contents.

export const BLOCK = 512;
/** What an archive ends with. */
export const END = Buffer.alloc(2 * BLOCK);

export class TarError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "TarError";
  }
}

/** Of `pax` and `long name` what follows tells more of the next one. */
export interface TarHeader {
  readonly name: string;
  /** Bytes of what follows, without the padding. */
  readonly size: number;
  readonly kind: "file" | "folder" | "pax" | "global pax" | "long name" | "sparse" | "other";
}

const KINDS: Readonly<Record<string, TarHeader["kind"]>> = {
  "\0": "file",
  "0": "file",
  "7": "file",
  "5": "folder",
  x: "pax",
  g: "global pax",
  L: "long name",
  S: "sparse",
};

/** Zeros behind a content of so many bytes. */
export const paddingOf = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;

/** Where the next header is, seen from this one's content. */
export const spanOf = (size: number): number => size + paddingOf(size);

/** Made by nobody, at no time: the same for the same content. The name of a folder ends with a slash. */
export const headerOf = (name: string, size: number): Buffer => {
  const isShort = Buffer.byteLength(name) <= 100;
  const block = blockOf(isShort ? name : name.slice(0, 100), size, name.endsWith("/") ? "5" : "0");
  if (isShort) return block;
  const record = Buffer.from(paxRecord("path", name));
  return Buffer.concat([blockOf("pax", record.length, "x"), record, Buffer.alloc(paddingOf(record.length)), block]);
};

/** Its length counts itself (POSIX.1-2001, pax, "Extended Header"). */
const paxRecord = (key: string, value: string): string => {
  const rest = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(rest);
  const guess = bytes + String(bytes).length;
  return `${bytes + String(guess).length}${rest}`;
};

const LARGEST_OCTAL = 0o77777777777;

const blockOf = (name: string, size: number, type: string): Buffer => {
  const block = Buffer.alloc(BLOCK);
  block.write(name, 0, 100);
  block.write(type === "5" ? "0000755\0" : "0000644\0", 100);
  block.write("0000000\0", 108);
  block.write("0000000\0", 116);
  writeSize(block, size);
  block.write("00000000000\0", 136);
  block.write(type, 156);
  block.write("ustar\u000000", 257);
  block.write(`${sumOf(block).unsigned.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
};

/** Eight GiB and more as GNU has it, which everybody reads: base 256. */
const writeSize = (block: Buffer, size: number): void => {
  if (size <= LARGEST_OCTAL) return void block.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  block[124] = 0x80;
  block.writeBigUInt64BE(BigInt(size), 128);
};

/** The checksum field itself counts as blanks; some have summed signed bytes. */
const sumOf = (block: Buffer): { unsigned: number; signed: number } => {
  let unsigned = 0;
  let signed = 0;
  for (let i = 0; i < BLOCK; i += 1) {
    const byte = i >= 148 && i < 156 ? 0x20 : block[i]!;
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  return { unsigned, signed };
};

/** `undefined`: a block of zeros, with which the archive ends. Throws TarError. */
export const parseHeader = (block: Buffer): TarHeader | undefined => {
  if (block.every((byte) => byte === 0)) return undefined;
  const { unsigned, signed } = sumOf(block);
  const sum = octalIn(block.subarray(148, 156));
  if (sum !== unsigned && sum !== signed)
    throw new TarError("this is no tar archive, or it is damaged: a header's checksum is wrong");
  const name = textIn(block.subarray(0, 100));
  const isUstar = block.toString("latin1", 257, 263) === "ustar\0";
  const prefix = isUstar ? textIn(block.subarray(345, 500)) : "";
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    size: sizeIn(block.subarray(124, 136)),
    kind: KINDS[String.fromCharCode(block[156]!)] ?? "other",
  };
};

const textIn = (field: Buffer): string => {
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end === -1 ? field.length : end);
};

const octalIn = (field: Buffer): number => {
  const text = textIn(field).trim();
  if (!/^[0-7]{0,12}$/.test(text)) throw new TarError("a header of the archive has a number that is none");
  return text === "" ? 0 : Number.parseInt(text, 8);
};

const sizeIn = (field: Buffer): number => {
  if ((field[0]! & 0x80) === 0) return octalIn(field);
  const size = field.readBigUInt64BE(4);
  if (field[0] !== 0x80 || field.readUIntBE(1, 3) !== 0 || size > Number.MAX_SAFE_INTEGER)
    throw new TarError("a header of the archive has a size that none can have");
  return Number(size);
};

/** What pax records say of the next entry. Throws TarError, for sparse files too. */
export const parsePax = (bytes: Buffer): { readonly path?: string; readonly size?: number } => {
  let path: string | undefined;
  let size: number | undefined;
  for (let at = 0; at < bytes.length; ) {
    const [, length = "", key = ""] = /^(\d{1,7}) ([^=]*)=/.exec(bytes.toString("utf8", at, at + 300)) ?? [];
    const end = at + Number(length);
    if (length === "" || Number(length) === 0 || end > bytes.length || bytes[end - 1] !== 0x0a)
      throw new TarError("a pax header of the archive is damaged");
    const value = bytes.toString("utf8", at + length.length + 2 + Buffer.byteLength(key), end - 1);
    if (key === "path") path = value;
    if (key === "size") size = paxSize(value);
    if (key.startsWith("GNU.sparse.")) throw new TarError("the archive has sparse files, which no image needs");
    at = end;
  }
  return { ...(path !== undefined && { path }), ...(size !== undefined && { size }) };
};

const paxSize = (text: string): number => {
  const size = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(size)) throw new TarError("a pax header of the archive has a size that none can have");
  return size;
};
