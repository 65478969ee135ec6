// The resolver behind all of them, in the part of 8.8.8.8: answers by the zone, as one that has looked everything up, over UDP and TCP.
// What it says depends on nothing but the question and how it came, so that a test can say what must have been sent.
import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { type Entry, labelsOf, u16, writeMessage } from "./writing.ts";
import { APEX, denial, EXISTING, SOA, signature, TYPES, ZONE } from "./zone.ts";

const [RD, CD, AD] = [0x0100, 0x0010, 0x0020];
const [NOERROR, SERVFAIL, NXDOMAIN, REFUSED] = [0, 2, 3, 5];
const UDP_SIZE = 1232;

interface Asked {
  readonly message: Buffer;
  readonly question: Buffer;
  /** Labels in lower case. */
  readonly labels: readonly string[];
  readonly type: number;
  readonly edns: { readonly size: number; readonly do: boolean } | undefined;
}

/** The reply to a question in one of the shapes that resolvers ask in: at most an OPT behind it. */
export const reply = (message: Buffer, via: "udp" | "tcp"): Buffer => {
  const asked = readQuestion(message);
  const { rcode, answers, authorities, additionals } = find(asked);
  const isSigned = asked.edns?.do === true;
  const asking = message.readUInt16BE(2);
  const authentic = (isSigned || (asking & AD) !== 0) && (asking & CD) === 0 && rcode !== SERVFAIL && rcode !== REFUSED;
  const flags = 0x8080 | (asking & (RD | CD)) | (authentic ? AD : 0) | rcode;
  const opt = asked.edns && Buffer.from([0, 0, 41, UDP_SIZE >> 8, UDP_SIZE & 255, 0, 0, isSigned ? 0x80 : 0, 0, 0, 0]);
  const head = { id: message.readUInt16BE(0), question: asked.question, opt };
  const whole = writeMessage({ ...head, flags, answers, authorities, additionals });
  const limit = via === "tcp" ? 65_535 : (asked.edns?.size ?? 512);
  return whole.length <= limit ? whole : writeMessage({ ...head, flags: flags | 0x0200 });
};

const readQuestion = (message: Buffer): Asked => {
  const labels: string[] = [];
  let at = 12;
  for (; message[at] !== 0; at += 1 + message[at]!) {
    labels.push(message.toString("latin1", at + 1, at + 1 + message[at]!).toLowerCase());
  }
  const end = at + 5;
  const edns =
    message.readUInt16BE(10) === 1 ? { size: message.readUInt16BE(end + 3), do: (message[end + 7]! & 0x80) !== 0 } : undefined;
  return { message, question: message.subarray(12, end), labels, type: message.readUInt16BE(at + 1), edns };
};

interface Found {
  readonly rcode: number;
  readonly answers: readonly Entry[];
  readonly authorities: readonly Entry[];
  readonly additionals: readonly Entry[];
}

const nothing = (rcode: number): Found => ({ rcode, answers: [], authorities: [], additionals: [] });

const find = (asked: Asked): Found => {
  const [first] = asked.labels;
  if (first === "fails") return nothing(SERVFAIL);
  if (first === "refused") return nothing(REFUSED);
  if (first === "nobody-says") return nothing(NXDOMAIN);
  if (first === "nothing-says") return nothing(NOERROR);
  const answers: Entry[] = [];
  let [labels, isThere] = [asked.labels, true];
  for (let hops = 0; hops < 8; hops += 1) {
    const step = lookUp(labels, asked.type);
    answers.push(...step.entries);
    isThere = step.isThere;
    if (step.next === undefined) break;
    labels = step.next;
  }
  const isAnswered = answers.some(({ type }) => type === asked.type) || (asked.type === TYPES.ANY && answers.length > 0);
  const signed = (entries: readonly Entry[]) => (asked.edns?.do === true ? withSignatures(entries) : entries);
  if (isAnswered) return { rcode: NOERROR, answers: signed(answers), authorities: [], additionals: signed(glue(answers)) };
  const authorities = [SOA, ...(asked.edns?.do === true ? [denial(APEX)] : [])];
  return { rcode: isThere ? NOERROR : NXDOMAIN, answers: signed(answers), authorities: signed(authorities), additionals: [] };
};

const keyOf = (labels: readonly string[]): string => labels.join("\0.");
const ownerKey = (owner: string): string => keyOf(labelsOf(owner).map((label) => label.toString("latin1").toLowerCase()));
const BY_OWNER = Map.groupBy(ZONE, ({ owner }) => ownerKey(owner));

/** One name: its records, and where an alias leads. */
const lookUp = (labels: readonly string[], type: number): { entries: Entry[]; isThere: boolean; next?: string[] } => {
  const owned = BY_OWNER.get(keyOf(labels)) ?? wildcard(labels);
  const dname =
    labels.length === 0 ? undefined : BY_OWNER.get(keyOf(labels.slice(1)))?.find((entry) => entry.type === TYPES.DNAME);
  if (dname) {
    const target = `${escaped(labels[0]!)}.wild.${APEX}`;
    const alias: Entry = { owner: nameOf(labels), type: TYPES.CNAME, ttl: dname.ttl, data: [{ name: target, squeezed: true }] };
    return { entries: [dname, alias], isThere: true, next: labelsOf(target).map(String) };
  }
  if (owned === undefined) return { entries: [], isThere: EXISTING.has(keyOf(labels)) || labels.length === 0 };
  const entries = owned.filter((entry) => entry.type === type || type === TYPES.ANY);
  if (entries.length > 0) return { entries, isThere: true };
  const alias = owned.find((entry) => entry.type === TYPES.CNAME);
  const target = alias?.data[0];
  if (alias === undefined || target === undefined || Buffer.isBuffer(target)) return { entries: [], isThere: true };
  return { entries: [alias], isThere: true, next: labelsOf(target.name).map((label) => label.toString("latin1").toLowerCase()) };
};

const wildcard = (labels: readonly string[]): Entry[] | undefined =>
  BY_OWNER.get(keyOf(["*", ...labels.slice(1)]))?.map((entry) => ({ ...entry, owner: nameOf(labels) }));

const escaped = (label: string): string =>
  label.replace(/[^a-z0-9_-]/g, (octet) => `\\${octet.charCodeAt(0).toString().padStart(3, "0")}`);
const nameOf = (labels: readonly string[]): string => labels.map(escaped).join(".");

/** The addresses of a name server or a mail host go along. */
const glue = (answers: readonly Entry[]): Entry[] =>
  answers
    .filter(({ type }) => type === TYPES.NS)
    .flatMap(({ data }) => data.flatMap((part) => (Buffer.isBuffer(part) ? [] : (BY_OWNER.get(ownerKey(part.name)) ?? []))))
    .filter(({ type }) => type === TYPES.A);

const withSignatures = (entries: readonly Entry[]): Entry[] => {
  const sets = Map.groupBy(entries, ({ owner, type }) => `${ownerKey(owner)} ${type}`);
  return [...sets.values()].flatMap((set) => [...set, signature(set[0]!)]);
};

export interface Authoritative {
  readonly asked: () => number;
  close(): Promise<void>;
}

export const serveZone = async (address: string): Promise<Authoritative> => {
  let asked = 0;
  const udp = createSocket({ type: "udp4", recvBufferSize: 1 << 20 });
  udp.on("message", (message: Buffer, from: RemoteInfo) => {
    asked += 1;
    udp.send(reply(message, "udp"), from.port, from.address);
  });
  const open = new Set<Socket>();
  const tcp = createServer((socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket)).on("error", () => socket.destroy());
    let held = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      held = Buffer.concat([held, chunk]);
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        const answer = reply(held.subarray(2, 2 + held.readUInt16BE(0)), "tcp");
        asked += 1;
        socket.write(Buffer.concat([u16(answer.length), answer]));
        held = held.subarray(2 + held.readUInt16BE(0));
      }
    });
  });
  udp.bind(53, address);
  await once(udp, "listening");
  tcp.listen(53, address);
  await once(tcp, "listening");
  const close = async () => {
    for (const socket of open) socket.destroy();
    udp.close();
    tcp.close();
    await Promise.all([once(udp, "close"), once(tcp, "close")]);
  };
  return { asked: () => asked, close };
};
