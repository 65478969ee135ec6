// Looks at what a connection begins with and leaves it as it came, for whoever takes it next.
import type { Socket } from "node:net";
import { type Hello, readHello } from "./client-hello.ts";

/** As long as Node's own handshake may take. Milliseconds. */
const WITHIN = 10_000;

/** `told` is called once, with all bytes put back; not at all where the connection ends, or is too slow, before it has said whom it is for. */
export const peek = (socket: Socket, told: (hello: Hello) => void, within = WITHIN): void => {
  let seen: Buffer = Buffer.alloc(0);
  const give = () => socket.destroy();
  const late = setTimeout(give, within);
  const leave = () => {
    clearTimeout(late);
    socket.off("readable", look).off("end", give).off("error", give).off("close", leave);
  };
  const look = () => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const hello = readHello(seen);
    if (hello === undefined) return;
    leave();
    socket.unshift(seen);
    told(hello);
  };
  socket.on("readable", look).on("end", give).on("error", give).on("close", leave);
};
