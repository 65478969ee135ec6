import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { readJson } from "../../src/admin/body.ts";

const outcomeOf = async (request: string, end = false): Promise<unknown> => {
  const outcome = Promise.withResolvers<unknown>();
  const server = createServer((req) => void readJson(req, 100).then(outcome.resolve, outcome.resolve)).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => undefined);
  socket.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n${request}`);
  if (end) setTimeout(() => socket.destroy(), 20);
  return outcome.promise;
};

it("is waited for, within bounds", async () => {
  expect(await outcomeOf('{"a": 100}')).toEqual({ a: 100 });
  expect(await outcomeOf('{"a":')).toMatchObject({ code: "TOO_SLOW" });
  expect(await outcomeOf('{"a":', true)).toMatchObject({ code: "INVALID", message: "the body broke off" });
});
