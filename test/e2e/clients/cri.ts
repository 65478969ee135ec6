// The two calls of Kubernetes' image service that a pull needs: gRPC is HTTP/2, and these messages are strings in strings.
import type { IncomingHttpHeaders } from "node:http";
import { type ClientHttp2Session, connect } from "node:http2";
import { connect as open } from "node:net";

type Field = { number: number; bytes: Buffer };

const varint = (value: number): Buffer => {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
};

/** One field that has a length: a string or a message. */
const field = (number: number, value: string | Buffer): Buffer => {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
};

/** The fields of a message that have a length; numbers are passed over. */
const fields = (message: Buffer): Field[] => {
  const found: Field[] = [];
  let at = 0;
  const number = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message[at++];
      if (byte === undefined) throw new Error("a protobuf message that ends too early");
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const key = number();
    const value = number();
    if ((key & 7) === 0) continue;
    if ((key & 7) !== 2) throw new Error(`a protobuf field of type ${key & 7}`);
    found.push({ number: key >>> 3, bytes: message.subarray(at, at + value) });
    at += value;
  }
  return found;
};

const all = (message: Buffer, number: number): Buffer[] =>
  fields(message)
    .filter((each) => each.number === number)
    .map(({ bytes }) => bytes);

export class Cri {
  readonly #session: ClientHttp2Session;

  constructor(socket: string) {
    this.#session = connect("http://localhost", { createConnection: () => open(socket) });
    this.#session.on("error", () => {}); // the call that is under way fails of it
  }

  /** PullImage: gives the id of the image, as the kubelet gets it. */
  async pull(reference: string, as?: { user: string; password: string }): Promise<string> {
    const auth = as ? field(2, Buffer.concat([field(1, as.user), field(2, as.password)])) : Buffer.alloc(0);
    const [id] = all(await this.#call("PullImage", Buffer.concat([field(1, field(1, reference)), auth])), 1);
    return id?.toString() ?? "";
  }

  /** ImageStatus: the names with digests that an image is held under. */
  async digests(image: string): Promise<string[]> {
    const [found = Buffer.alloc(0)] = all(await this.#call("ImageStatus", field(1, field(1, image))), 1);
    return all(found, 3).map(String);
  }

  close(): void {
    this.#session.close();
  }

  #call(method: string, message: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const path = `/runtime.v1.ImageService/${method}`;
      const headers = { ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" };
      const stream = this.#session.request(headers);
      const chunks: Buffer[] = [];
      let status = "the stream ended without a status";
      const say = (given: IncomingHttpHeaders) => {
        const { "grpc-status": code, "grpc-message": text = "" } = given;
        if (code !== undefined) status = `${String(code)} ${String(text)}`.trim();
      };
      stream.setTimeout(60_000, () => stream.destroy(new Error(`${method}: no answer`)));
      stream.on("response", say).on("trailers", say).on("error", reject);
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        if (status !== "0") return reject(new Error(`${method}: ${status}`));
        resolve(Buffer.concat(chunks).subarray(5)); // a flag and a length come before the message
      });
      const head = Buffer.alloc(5);
      head.writeUInt32BE(message.length, 1);
      stream.end(Buffer.concat([head, message]));
    });
  }
}
