// ClientHellos of a test's own making, and those of real clients as they are on the wire.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { type ConnectionOptions, connect } from "node:tls";

const number = (value: number, width: number): Buffer => {
  const bytes = Buffer.alloc(width);
  bytes.writeUIntBE(value, 0, width);
  return bytes;
};
export const vector = (width: number, bytes: Buffer): Buffer => Buffer.concat([number(bytes.length, width), bytes]);
export const extension = (type: number, data: Buffer): Buffer => Buffer.concat([number(type, 2), vector(2, data)]);

/** The server_name extension; `names` are normally one. */
export const serverName = (...names: string[]): Buffer =>
  extension(
    0,
    vector(2, Buffer.concat(names.map((name) => Buffer.concat([number(0, 1), vector(2, Buffer.from(name, "latin1"))])))),
  );

/** A handshake message with such extensions; undefined: without any. */
export const hello = (extensions: readonly Buffer[] | undefined, session = Buffer.alloc(32, 7)): Buffer => {
  const body = [
    Buffer.from("0303", "hex"),
    Buffer.alloc(32, 9),
    vector(1, session),
    vector(2, Buffer.from("13011302c02b", "hex")),
    vector(1, Buffer.from([0])),
    ...(extensions === undefined ? [] : [vector(2, Buffer.concat(extensions))]),
  ];
  return Buffer.concat([number(1, 1), vector(3, Buffer.concat(body))]);
};

/** In records of so many octets. */
export const records = (message: Buffer, size = 16_384): Buffer => {
  const parts: Buffer[] = [];
  for (let at = 0; at < message.length; at += size)
    parts.push(Buffer.from("160301", "hex"), vector(2, message.subarray(at, at + size)));
  return Buffer.concat(parts);
};

/** What whoever is started by `client` sends first. */
const firstOf = async (client: (port: number) => () => void): Promise<Buffer> => {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const stop = client((server.address() as AddressInfo).port);
  const [socket] = (await once(server, "connection")) as [import("node:net").Socket];
  socket.on("error", () => undefined);
  let seen = Buffer.alloc(0);
  while (seen.length < 5 || seen.length < 5 + seen.readUInt16BE(3)) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    seen = Buffer.concat([seen, chunk]);
  }
  socket.destroy();
  server.close();
  stop();
  return seen;
};

export const helloOfNode = (options: ConnectionOptions): Promise<Buffer> =>
  firstOf((port) => {
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options }).on("error", () => undefined);
    return () => void socket.destroy();
  });

export const helloOfOpenssl = (...args: string[]): Promise<Buffer> =>
  firstOf((port) => {
    const child = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${port}`, ...args], { stdio: "ignore" });
    return () => void child.kill();
  });
