// The host that a client asks for, read from its first message before TLS is spoken: the outer name where there is an encrypted inner one (ECH). What is
// no whole and sound ClientHello has none, and is left to TLS itself to judge.

/** A longer message is nobody's that we would pass on; those of today have 200 to 2,000 octets. Octets. */
const MOST = 16 * 1024;
/** Into how many records it may be cut; some clients make two or three of it. */
const MOST_RECORDS = 64;

export interface Hello {
  /** As it was sent: in any case, with or without a trailing dot; undefined: none, or no TLS at all. */
  readonly serverName: string | undefined;
}

const NONE: Hello = { serverName: undefined };
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const RECORD_HEADER = 5;
const MESSAGE_HEADER = 4;
const MAX_FRAGMENT = 16 * 1024;
const SERVER_NAME = 0;
const HOST_NAME = 0;

/** Of all that has come so far; undefined: the message is not whole yet. */
export const readHello = (bytes: Buffer): Hello | undefined => {
  const message = messageOf(bytes);
  if (!Buffer.isBuffer(message)) return message === "partial" ? undefined : NONE;
  try {
    return { serverName: serverNameOf(message) };
  } catch (error) {
    if (error instanceof Torn) return NONE;
    throw error;
  }
};

/** The first handshake message without its header, put together from its records (RFC 8446 5.1). */
const messageOf = (bytes: Buffer): Buffer | "partial" | "other" => {
  const parts: Buffer[] = [];
  let held = 0;
  let wanted = MESSAGE_HEADER;
  for (let at = 0; at < bytes.length && parts.length < MOST_RECORDS; ) {
    if (bytes[at] !== HANDSHAKE || (bytes[at + 1] ?? 3) !== 3) return "other";
    if (at + RECORD_HEADER > bytes.length) return "partial";
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || length > MAX_FRAGMENT) return "other";
    const part = bytes.subarray(at + RECORD_HEADER, at + RECORD_HEADER + length);
    parts.push(part);
    held += part.length;
    at += RECORD_HEADER + length;
    if (held >= MESSAGE_HEADER) {
      const header = Buffer.concat(parts, MESSAGE_HEADER);
      wanted = MESSAGE_HEADER + header.readUIntBE(1, 3);
      if (header[0] !== CLIENT_HELLO || wanted > MOST) return "other";
    }
    if (held >= wanted) return Buffer.concat(parts).subarray(MESSAGE_HEADER, wanted);
  }
  return parts.length === MOST_RECORDS ? "other" : "partial";
};

/** RFC 8446 4.1.2, RFC 6066 3. */
const serverNameOf = (message: Buffer): string | undefined => {
  const hello = new Cursor(message);
  hello.take(2 + 32);
  hello.vector(1);
  hello.vector(2);
  hello.vector(1);
  if (hello.isAtEnd) return undefined;
  const extensions = hello.vector(2);
  let name: string | undefined;
  while (!extensions.isAtEnd) {
    const type = extensions.number(2);
    const data = extensions.vector(2);
    if (type !== SERVER_NAME) continue;
    // whatever is said twice can be read in two ways
    if (name !== undefined) throw new Torn();
    name = hostNameIn(data.vector(2));
  }
  return name;
};

const hostNameIn = (list: Cursor): string => {
  if (list.number(1) !== HOST_NAME) throw new Torn();
  const name = list.vector(2).rest.toString("latin1");
  if (!list.isAtEnd || name === "") throw new Torn();
  return name;
};

/** It ends before it should. */
class Torn extends Error {}

class Cursor {
  #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#bytes.length === 0;
  }

  get rest(): Buffer {
    return this.#bytes;
  }

  take(length: number): Buffer {
    if (length > this.#bytes.length) throw new Torn();
    const taken = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length);
    return taken;
  }

  number(width: 1 | 2): number {
    return this.take(width).readUIntBE(0, width);
  }

  /** What has its length, in so many octets, before it. */
  vector(width: 1 | 2): Cursor {
    return new Cursor(this.take(this.number(width)));
  }
}
