// Doctor's checks of the machine: ports, disk, and whether this is a container.
import { constants } from "node:fs";
import { access, stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { type Address, describeHolder, formatAddress } from "../lib/listen.ts";
import { type Holder, portHolder } from "../lib/listen-holder.ts";
import { formatSize } from "../lib/units.ts";
import { type Finding, fail, ok, reasonOf, warn } from "./doctor-finding.ts";
import { isLayover } from "./doctor-process.ts";

export interface Door {
  /** The key that moves it, such as `listen.dns`. */
  readonly key: string;
  readonly transport: "tcp" | "udp";
  readonly address: Address;
}

type FindHolder = (transport: "tcp" | "udp", address: Address) => Holder | undefined;

/** By whom each port is held, as far as this user may see. */
export const checkPorts = async (doors: readonly Door[], findHolder: FindHolder = portHolder): Promise<Finding[]> => {
  const held = doors.map((door) => ({ door, holder: findHolder(door.transport, door.address) }));
  const idle = held.filter(({ holder }) => holder === undefined).map(({ door }) => placeOf(door));
  const findings = await Promise.all(held.flatMap(({ door, holder }) => (holder === undefined ? [] : [checkPort(door, holder)])));
  if (idle.length > 0) findings.push(warn("ports", `nobody listens on ${idle.join(", ")}`, "start Layover: `layover serve`"));
  if (findings.some(({ status }) => status !== "ok")) return findings.filter(({ status }) => status !== "ok");
  return [
    ok(
      "ports",
      `Layover listens on ${doors.map(({ address, transport }) => `${formatAddress(address)}/${transport}`).join(", ")}`,
    ),
  ];
};

const placeOf = ({ key, transport, address }: Door): string => `${formatAddress(address)}/${transport} (${key})`;

const checkPort = async (door: Door, holder: Holder): Promise<Finding> => {
  const place = placeOf(door);
  const { key } = door;
  if (holder.pid === undefined) return ok("ports", `${place} is held by ${describeHolder(holder)}`);
  if ((await isLayover(holder.pid)) !== false) return ok("ports", place);
  const env = `LAYOVER_${key.toUpperCase().replace(".", "_")}`;
  const mend = holder.command?.startsWith("systemd-resolve")
    ? "give Layover's DNS an address of its own (listen.dns), or set DNSStubListener=no in /etc/systemd/resolved.conf.d/layover.conf"
    : `end it, or move Layover's door with ${key} (${env})`;
  return fail("ports", `${place} is held by ${describeHolder(holder)}, not by Layover`, mend);
};

/** Undefined `maxSize`: what leaves a tenth of the file system free. */
export const checkDisk = async (data: string, maxSize: number | undefined): Promise<Finding[]> => {
  const folder = await nearest(data);
  const mend = "let the user that Layover runs as write there, or set `data` (LAYOVER_DATA)";
  try {
    if (!(await stat(folder)).isDirectory()) return [fail("disk", `${folder} is no folder`, mend)];
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    return [fail("disk", `${folder} cannot be written: ${reasonOf(error)}`, mend)];
  }
  const { bsize, blocks, bavail } = await statfs(folder);
  return [judgeSpace(data, { total: blocks * bsize, free: bavail * bsize }, maxSize)];
};

const round = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)}GiB`;

export const judgeSpace = (
  data: string,
  { total, free }: { total: number; free: number },
  maxSize: number | undefined,
): Finding => {
  const have = `${data}: ${round(free)} of ${round(total)} free`;
  const more = "make room, or put `data` on a larger disk";
  if (free < total / 100) return fail("disk", `${have}: nothing new can be kept`, more);
  if (maxSize !== undefined && maxSize > total)
    return warn("disk", `${have}, and maxSize is ${formatSize(maxSize)}`, "lower `maxSize`");
  if (free < total / 10) return warn("disk", `${have}: less than the tenth that is to stay free`, more);
  return ok("disk", have);
};

const nearest = async (path: string): Promise<string> => {
  const there = await stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== "ENOENT",
  );
  return there || dirname(path) === path ? path : nearest(dirname(path));
};

const MARKS = ["/.dockerenv", "/run/.containerenv"];

/** In a container, the address that we see is seldom the one that clients reach. */
export const checkContainer = async (
  answer: "auto" | readonly string[],
  marks = MARKS,
  env = process.env,
): Promise<Finding[]> => {
  const found = await Promise.all(
    marks.map((mark) =>
      stat(mark).then(
        () => true,
        () => false,
      ),
    ),
  );
  if (!found.includes(true) && env["KUBERNETES_SERVICE_HOST"] === undefined) return [];
  if (answer !== "auto") return [ok("container", `in a container; names are answered with ${answer.join(", ")}`)];
  const text = "in a container without `answer`: only clients in the container's own network are led here";
  return [
    warn("container", text, "set `answer` (LAYOVER_ANSWER) to the host's address; fine, if all clients are in that network"),
  ];
};
