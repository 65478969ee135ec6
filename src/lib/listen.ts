// Addresses to listen on: parsing them, and saying clearly why one could not be had.
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { type Holder, portHolder } from "./listen-holder.ts";

export interface Address {
  /** An IP address in text form, without brackets. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

/** Its message says what was expected and what was found. */
export class AddressError extends Error {
  constructor(expected: string, found: string) {
    super(`expected ${expected}, found ${JSON.stringify(found)}`);
    this.name = "AddressError";
  }
}

/** `0.0.0.0:443`, `[::]:443`. With `defaultPort` the port may be left out (`8.8.8.8`, `2001:db8::1`). Throws AddressError. */
export const parseAddress = (text: string, defaultPort?: number): Address => {
  const trimmed = text.trim();
  if (defaultPort !== undefined && isIP(trimmed) !== 0) return { host: trimmed, port: defaultPort };
  const [, six, four, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(trimmed) ?? [];
  const host = six ?? four ?? "";
  const port = digits === undefined ? defaultPort : Number(digits);
  const family = six === undefined ? 4 : 6;
  if (isIP(host) !== family || host.includes("%") || port === undefined || port > 65_535) {
    throw new AddressError(defaultPort === undefined ? "ip:port or [ipv6]:port" : "an IP address, or ip:port", text);
  }
  return { host, port };
};

export const formatAddress = ({ host, port }: Address): string => (isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`);

export const isWildcard = (host: string): boolean => isIP(host) !== 0 && /^[0:.]+$/.test(host);

export interface ListenAttempt {
  /** The configuration key that moves it, such as `listen.dns`. */
  readonly key: string;
  /** What was to listen there, such as "DNS over UDP". */
  readonly what: string;
  /** Where it was tried; else what the error itself says. */
  readonly address?: Address;
  readonly transport?: "tcp" | "udp";
}

interface SystemError {
  readonly code?: string;
  readonly address?: string;
  readonly port?: number;
  readonly syscall?: string;
}

/** One or more lines for a person: which address, who holds it if that can be seen, and the key that moves it. Linux's /proc is read. */
export const explainListenError = (error: unknown, attempt: ListenAttempt): string => {
  const { code, address: host, port, syscall } = error as SystemError;
  const address = attempt.address ?? (host === undefined ? undefined : { host, port: port ?? 0 });
  const place = address === undefined ? "its address" : formatAddress(address);
  const transport = attempt.transport ?? (syscall === "bind" ? "udp" : "tcp");
  const reason = explain(code, transport, address) ?? [error instanceof Error ? error.message : String(error)];
  return [`cannot listen on ${place} for ${attempt.what}: ${reason[0]}`, ...reason.slice(1), moveIt(attempt.key, address)].join(
    "\n  ",
  );
};

const explain = (code: string | undefined, transport: "tcp" | "udp", address: Address | undefined): string[] | undefined => {
  if (code === "EADDRINUSE") return taken(address && portHolder(transport, address));
  if (code === "EACCES") {
    return [
      "not permitted",
      "low ports need root, the capability CAP_NET_BIND_SERVICE, or sysctl net.ipv4.ip_unprivileged_port_start=53",
    ];
  }
  if (code === "EADDRNOTAVAIL") return [`this machine has no such address (it has ${ownAddresses().join(", ")})`];
  if (code === "EAFNOSUPPORT") return ["this machine has no IPv6: use an IPv4 address"];
  return undefined;
};

const taken = (holder: Holder | undefined): string[] => {
  if (holder === undefined) return ["the port is taken (by whom cannot be seen from here: try `ss -lntup` as root)"];
  const at = formatAddress(holder);
  if (!holder.command?.startsWith("systemd-resolve")) return [`the port is taken by ${describeHolder(holder)}, on ${at}`];
  return [
    `the port is taken by systemd-resolved (pid ${holder.pid}), on ${at}`,
    "either let Layover's DNS listen on an address of its own (not 0.0.0.0), such as this machine's address in the network,",
    "or set DNSStubListener=no in /etc/systemd/resolved.conf.d/layover.conf and run `systemctl restart systemd-resolved`",
  ];
};

/** `nginx (pid 812)`, or as much as may be seen. */
export const describeHolder = (holder: Holder): string => {
  if (holder.pid !== undefined) return `${holder.command ?? "a process"} (pid ${holder.pid})`;
  return `a process of user id ${holder.uid} (run as root to see which)`;
};

const ownAddresses = (): string[] =>
  Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((entry) => entry.address));

/** `listen.dns` → `listen: { dns: ["…"] }` and LAYOVER_LISTEN_DNS. */
const moveIt = (key: string, address: Address | undefined): string => {
  const [section, door] = key.split(".");
  const other = formatAddress(elsewhere(address ?? { host: "0.0.0.0", port: 0 }));
  const env = `LAYOVER_${key.toUpperCase().replaceAll(".", "_")}`;
  if (door === undefined) return `to move it: \`${section}: "${other}"\` in the configuration, or ${env}=${other}`;
  const value = door === "admin" ? `"${other}"` : `["${other}"]`;
  return `to move it: \`${section}: { ${door}: ${value} }\` in the configuration, or ${env}=${other}`;
};

/** An example of another place: DNS clients know no port but 53, so there the address moves; elsewhere the port does. */
const elsewhere = ({ host, port }: Address): Address => {
  const own = ownAddresses().find((address) => isIP(address) === 4 && !address.startsWith("127."));
  if (port === 53 && isWildcard(host) && own !== undefined) return { host: own, port };
  return { host, port: port > 0 && port < 1024 ? 8000 + port : (port + 1) % 65_536 };
};

/** How this machine itself reaches what listens at an address: a wildcard on loopback. */
export const fromHere = ({ host, port }: Address): Address => {
  if (!isWildcard(host)) return { host, port };
  return { host: host.includes(":") ? "::1" : "127.0.0.1", port };
};
