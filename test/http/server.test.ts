// Draining, over real sockets: what is under way ends well, and nobody who never asked for anything is waited for.
import { once } from "node:events";
import { request } from "node:https";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { expect, it, onTestFinished } from "vitest";
import { openDoor } from "../../src/http/server.ts";
import { mintLeaf } from "../../src/tls/leaf.ts";
import { anchorOf, makeRoot } from "../../src/tls/root.ts";

const NAME = "registry.example";
const root = makeRoot({ names: "all", now: Date.now(), hostname: "box" });
const leaf = mintLeaf(root, [NAME], Date.now());

const tlsDoor = async (answer: () => Promise<string>) => {
  const options = { cert: leaf.chain, key: leaf.key.export({ type: "pkcs8", format: "pem" }) as string };
  return openDoor({
    door: "https",
    address: { host: "127.0.0.1", port: 0 },
    dispatch: async ({ res }) => void res.end(await answer()),
    clients: () => true,
    secure: { options, follow: () => undefined },
  });
};

const closed = (socket: Socket): Promise<unknown> => {
  onTestFinished(() => void socket.destroy());
  return once(socket, "close");
};

it("draining lets an answer end, and closes at once what was only opened", async () => {
  const answer = Promise.withResolvers<string>();
  const asked = Promise.withResolvers<void>();
  const door = await tlsDoor(() => {
    asked.resolve();
    return answer.promise;
  });
  const { port } = door.address;
  const there = { host: "127.0.0.1", port };
  const shaking = connect(there);
  const openedAhead = connectTls({ ...there, servername: NAME, ca: String(anchorOf(root).certificate) });
  await Promise.all([once(shaking, "connect"), once(openedAhead, "secureConnect")]);
  const cut = Promise.all([closed(shaking), closed(openedAhead)]);
  const received = new Promise<string>((resolve, reject) => {
    const sent = request({ ...there, servername: NAME, ca: String(anchorOf(root).certificate) }, (response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => (body += chunk.toString())).on("end", () => resolve(body));
    });
    sent.on("error", reject).end();
  });
  await asked.promise;

  const patience = AbortSignal.timeout(20_000);
  const drained = door.drain(patience);
  await cut;
  answer.resolve("whole");
  expect(await received).toBe("whole");
  await drained;
  expect(patience.aborted).toBe(false);
});

it("what does not end in time is cut", async () => {
  const asked = Promise.withResolvers<void>();
  const door = await tlsDoor(() => {
    asked.resolve();
    return new Promise(() => undefined);
  });
  const sent = request({ host: "127.0.0.1", port: door.address.port, servername: NAME, ca: String(anchorOf(root).certificate) });
  const failed = once(sent, "error");
  sent.end();
  await asked.promise;
  await door.drain(AbortSignal.timeout(50));
  expect((await failed)[0]).toMatchObject({ code: "ECONNRESET" });
});
