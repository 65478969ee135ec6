// Who holds a port: /proc/net names the socket's inode, /proc/<pid>/fd the process that has it open. Linux only; elsewhere nobody is known.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

export interface Holder {
  /** Where it listens, which may be a wildcard. */
  readonly host: string;
  readonly port: number;
  readonly uid: number;
  /** Unknown when the process is another user's, or in another container. */
  readonly pid: number | undefined;
  readonly command: string | undefined;
}

interface Wanted {
  readonly host: string;
  readonly port: number;
}

const LISTENING = { tcp: "0A", udp: "07" } as const;
const ANY = new Set(["0.0.0.0", "::"]);
const PATIENCE_MS = 1_000;

/** The socket that stands in the way of listening on `wanted`, or undefined. Takes about a second at the very most. */
export const portHolder = (transport: "tcp" | "udp", wanted: Wanted, proc = "/proc"): Holder | undefined => {
  const rows = ["", "6"].flatMap((family) => readTable(`${proc}/net/${transport}${family}`, LISTENING[transport]));
  const row = rows.filter((row) => row.port === wanted.port).find((row) => overlaps(row.host, wanted.host));
  if (row === undefined) return undefined;
  const pid = processOf(proc, row.inode);
  return { host: row.host, port: row.port, uid: row.uid, pid, command: pid === undefined ? undefined : commandOf(proc, pid) };
};

const overlaps = (held: string, wanted: string): boolean => held === wanted || ANY.has(held) || ANY.has(wanted);

interface Row extends Wanted {
  readonly uid: number;
  readonly inode: string;
}

const readTable = (file: string, state: string): Row[] => {
  const text = attempt(() => readFileSync(file, "utf8")) ?? "";
  return text
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === state)
    .map((fields) => {
      const [address = "", port = "0"] = (fields[1] ?? "").split(":");
      return { host: hexAddress(address), port: Number.parseInt(port, 16), uid: Number(fields[7]), inode: fields[9] ?? "" };
    });
};

/** The kernel prints each 32-bit word in host order: little-endian on every machine that Node supports here. */
export const hexAddress = (hex: string): string => {
  const words = hex.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => [...Buffer.from(word, "hex")].reverse());
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16));
  if (groups.slice(0, 5).every((group) => group === "0") && groups[5] === "ffff") return bytes.slice(12).join(".");
  return new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1);
};

const processOf = (proc: string, inode: string): number | undefined => {
  const deadline = Date.now() + PATIENCE_MS;
  const pids = (attempt(() => readdirSync(proc)) ?? []).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    if (Date.now() > deadline) return undefined;
    const fds = attempt(() => readdirSync(`${proc}/${pid}/fd`)) ?? [];
    if (fds.some((fd) => attempt(() => readlinkSync(`${proc}/${pid}/fd/${fd}`)) === `socket:[${inode}]`)) return Number(pid);
  }
  return undefined;
};

const commandOf = (proc: string, pid: number): string | undefined =>
  attempt(() => readFileSync(`${proc}/${pid}/comm`, "utf8").trim());

/** Processes come and go, and others' are not ours to read. */
const attempt = <T>(read: () => T): T | undefined => {
  try {
    return read();
  } catch {
    return undefined;
  }
};
