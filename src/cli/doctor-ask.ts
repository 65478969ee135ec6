// One DNS question to one server, over UDP or TCP, for the doctor's checks. Not for forwarding.
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, isIP } from "node:net";
import { Packet } from "dns2";
import { NoAnswer } from "../dns/exchange.ts";
import { prescreen } from "../dns/prescreen.ts";
import type { Address } from "../lib/listen.ts";
import { silent } from "../lib/log.ts";
import type { EncryptedResolver, PlainResolver, ResolverAddress } from "../lib/resolver-address.ts";

export const TYPES = { A: 1, AAAA: 28, HTTPS: 65 } as const;

export interface Question {
  readonly server: Address | ResolverAddress;
  readonly name: string;
  readonly type: keyof typeof TYPES;
  readonly transport: "udp" | "tcp";
}

export interface Reply {
  readonly rcode: number;
  /** Of the answers that are addresses. */
  readonly addresses: readonly string[];
  /** How many answers have the type that was asked for. */
  readonly count: number;
}

export type Ask = (question: Question) => Promise<Reply>;

/** What encrypted resolvers take. */
export interface Encrypted {
  /** PEM. */
  readonly trust: string | undefined;
  /** Who is asked where one is that has a name. */
  readonly plain: readonly PlainResolver[];
}

const RETRY_MS = 1_000;

/** Rejects after `timeout` ms, or with the socket's error (ECONNREFUSED: nobody listens). */
export const asking =
  (timeout: number, encrypted: Encrypted = { trust: undefined, plain: [] }): Ask =>
  async (question) => {
    const id = randomInt(65_536);
    const packet = encode(id, question.name, TYPES[question.type]);
    const { server } = question;
    const bytes =
      "kind" in server && server.kind !== "plain"
        ? await overEncrypted(server, packet, timeout, encrypted)
        : await (question.transport === "udp" ? overUdp : overTcp)(server, packet, id, timeout);
    return decode(bytes, TYPES[question.type]);
  };

/** RFC 1035 4.1: a header with RD, one question. */
const encode = (id: number, name: string, type: number): Buffer => {
  const header = Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const labels = name.split(".").filter((label) => label !== "");
  const encoded = labels.map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label, "latin1")]));
  return Buffer.concat([header, ...encoded, Buffer.of(0, type >> 8, type & 255, 0, 1)]);
};

const decode = (bytes: Buffer, type: number): Reply => {
  const answers = Packet.parse(bytes.subarray(0, 4_096)).answers.filter((answer) => answer.type === type);
  const addresses = answers.flatMap(({ address }) => (typeof address === "string" ? [address] : []));
  return { rcode: bytes[3]! & 15, addresses, count: answers.length };
};

const isReply = (bytes: Buffer, id: number): boolean => bytes.length >= 12 && bytes.readUInt16BE(0) === id && bytes[2]! >= 128;

const overUdp = (server: Address, packet: Buffer, id: number, timeout: number): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const socket = createSocket(isIP(server.host) === 6 ? "udp6" : "udp4");
    let isOpen = true;
    const finish = (outcome: Error | Buffer) => {
      if (!isOpen) return;
      isOpen = false;
      clearInterval(retry);
      clearTimeout(late);
      socket.close();
      if (outcome instanceof Error) reject(outcome);
      else resolve(outcome);
    };
    const send = () => socket.send(packet, (error) => error && finish(error));
    const retry = setInterval(() => isOpen && send(), RETRY_MS);
    const late = setTimeout(() => finish(new Error(`no answer within ${timeout / 1_000} s`)), timeout);
    socket.on("error", finish);
    socket.on("message", (bytes) => isReply(bytes, id) && finish(bytes));
    // Connected, so that a closed port is told (ICMP), and no other sender is heard.
    socket.connect(server.port, server.host, () => isOpen && send());
  });

/** RFC 1035 4.2.2: two bytes of length before the message. */
const overTcp = (server: Address, packet: Buffer, id: number, timeout: number): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const socket = connect(server.port, server.host);
    const late = setTimeout(() => finish(new Error(`no answer within ${timeout / 1_000} s`)), timeout);
    const finish = (outcome: Error | Buffer) => {
      clearTimeout(late);
      socket.destroy();
      if (outcome instanceof Error) reject(outcome);
      else resolve(outcome);
    };
    let received = Buffer.alloc(0);
    socket.on("error", finish);
    socket.on("end", () => finish(new Error("the connection was closed without an answer")));
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
      const message = received.subarray(2, 2 + (received.length < 2 ? 0 : received.readUInt16BE(0)));
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      finish(isReply(message, id) ? message : new Error("what came back is no answer to the question"));
    });
    socket.write(Buffer.concat([Buffer.of(packet.length >> 8, packet.length & 255), packet]));
  });

/** As the server asks it, but on a connection for this question alone. */
const overEncrypted = async (
  to: EncryptedResolver,
  packet: Buffer,
  timeout: number,
  { trust, plain }: Encrypted,
): Promise<Buffer> => {
  const [{ encryptedResolver }, { createRelay }, { plainResolver }] = await Promise.all([
    import("../dns/encrypted.ts"),
    import("../dns/relay.ts"),
    import("../dns/resolver.ts"),
  ]);
  const screened = prescreen(packet);
  if (screened.verdict !== "query") throw new Error("the name cannot be asked for");
  const bootstrap = createRelay({ resolvers: plain.map(plainResolver), log: silent });
  const resolver = encryptedResolver(to, { trust, bootstrap });
  try {
    const patience = { ms: timeout, signal: new AbortController().signal };
    return await resolver.ask({ query: screened.query, message: packet }, patience);
  } catch (error) {
    throw error instanceof NoAnswer && error.cause instanceof Error ? error.cause : error;
  } finally {
    resolver.close();
    bootstrap.close();
  }
};
