// The parts of dns2 that are used here. Its main file also brings clients and a DoH server, and with them TLS, HTTP and HTTP/2: a
// third of the memory, and of the start, of a process that shall be small.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type dns2 from "dns2";

const require = createRequire(import.meta.url);
const folder = dirname(require.resolve("dns2/package.json"));
const part = (file: string): unknown => require(join(folder, file));

export const Packet = part("packet.js") as typeof dns2.Packet;
export type Packet = dns2.Packet;
export const UDPServer = part("server/udp.js") as typeof dns2.UDPServer;
export const TCPServer = part("server/tcp.js") as typeof dns2.TCPServer;
