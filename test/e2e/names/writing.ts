// DNS messages put together by the tests' own hand, names compressed wherever RFC 1035 lets them be: never by the code under test.

/** Data of a record: octets as they are, and names, `squeezed` where they may be compressed (RFC 3597 4). */
export type Part = Buffer | { readonly name: string; readonly squeezed?: boolean };

export interface Entry {
  readonly owner: string;
  readonly type: number;
  readonly ttl: number;
  readonly data: readonly Part[];
}

export interface Message {
  readonly id: number;
  readonly flags: number;
  /** As it came: name, type and class. */
  readonly question: Buffer;
  readonly answers?: readonly Entry[];
  readonly authorities?: readonly Entry[];
  readonly additionals?: readonly Entry[];
  readonly opt?: Buffer | undefined;
}

export const u16 = (...values: readonly number[]): Buffer => Buffer.from(values.flatMap((value) => [value >> 8, value & 255]));
export const u32 = (...values: readonly number[]): Buffer =>
  Buffer.concat(
    values.map((value) => {
      const octets = Buffer.alloc(4);
      octets.writeUInt32BE(value);
      return octets;
    }),
  );

/** The labels of a name as master files write it: `\.` and `\000` are octets of a label. */
export const labelsOf = (name: string): Buffer[] =>
  (name.match(/(?:\\\d{3}|\\.|[^.\\])+/g) ?? []).map((label) =>
    Buffer.from(
      label.replace(/\\(\d{3})/g, (_, code: string) => String.fromCharCode(Number(code))).replace(/\\([^\d])/g, "$1"),
      "latin1",
    ),
  );

export const wireName = (name: string): Buffer =>
  Buffer.concat([...labelsOf(name).flatMap((label) => [Buffer.from([label.length]), label]), Buffer.from([0])]);

export const writeMessage = (message: Message): Buffer => {
  const { answers = [], authorities = [], additionals = [], opt } = message;
  const writer = new Writer();
  writer.put(u16(message.id, message.flags, 1, answers.length, authorities.length, additionals.length + (opt ? 1 : 0)));
  writer.put(message.question);
  writer.remember(12);
  for (const entry of [...answers, ...authorities, ...additionals]) writer.entry(entry);
  if (opt) writer.put(opt);
  return writer.octets;
};

class Writer {
  #octets = Buffer.alloc(0);
  readonly #places = new Map<string, number>();

  get octets(): Buffer {
    return this.#octets;
  }

  put(octets: Buffer): void {
    this.#octets = Buffer.concat([this.#octets, octets]);
  }

  /** An uncompressed name at this place may be pointed to. */
  remember(place: number): void {
    for (let at = place; this.#octets[at] !== 0; at += 1 + this.#octets[at]!) {
      let end = at;
      while (this.#octets[end] !== 0) end += 1 + this.#octets[end]!;
      const key = this.#octets.toString("latin1", at, end).toLowerCase();
      if (!this.#places.has(key)) this.#places.set(key, at);
    }
  }

  entry({ owner, type, ttl, data }: Entry): void {
    this.#name(owner, true);
    this.put(Buffer.concat([u16(type, 1), u32(ttl), u16(0)]));
    const start = this.#octets.length;
    for (const part of data) {
      if (Buffer.isBuffer(part)) this.put(part);
      else this.#name(part.name, part.squeezed === true);
    }
    this.#octets.writeUInt16BE(this.#octets.length - start, start - 2);
  }

  #name(name: string, squeezed: boolean): void {
    const labels = labelsOf(name);
    while (labels.length > 0) {
      const key = Buffer.concat(labels.flatMap((label) => [Buffer.from([label.length]), label]))
        .toString("latin1")
        .toLowerCase();
      const place = this.#places.get(key);
      if (squeezed && place !== undefined) {
        this.put(u16(0xc000 | place));
        return;
      }
      if (this.#octets.length < 0x4000 && !this.#places.has(key)) this.#places.set(key, this.#octets.length);
      const label = labels.shift()!;
      this.put(Buffer.concat([Buffer.from([label.length]), label]));
    }
    this.put(Buffer.from([0]));
  }
}
