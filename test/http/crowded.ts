// A door in a process of its own, whose files may be few: it bounds its connections by nothing else. Prints its port.
import { openDoor } from "../../src/http/server.ts";

const door = await openDoor({
  door: "http",
  address: { host: "127.0.0.1", port: 0 },
  dispatch: async ({ res }) => void res.end("served"),
  clients: () => true,
});
process.stdout.write(`${door.address.port}\n`);
