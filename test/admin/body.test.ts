import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { readJson } from "../../src/admin/body.ts";

const HEAD = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";

const outcomeOf = async (request: string, end = false): Promise<unknown> => {
  const outcome = Promise.withResolvers<unknown>();
  const server = createServer({ optimizeEmptyRequests: true }, (req) => {
    void readJson(req, 100).then(outcome.resolve, outcome.resolve);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => undefined);
  socket.write(HEAD + request);
  if (end) setTimeout(() => socket.destroy(), 20);
  return outcome.promise;
};

it("is waited for, within bounds", async () => {
  const announced = "Content-Length: 10\r\n\r\n";
  expect(await outcomeOf(`${announced}{"a": 100}`)).toEqual({ a: 100 });
  expect(await outcomeOf(`${announced}{"a":`)).toMatchObject({ code: "TOO_SLOW" });
  expect(await outcomeOf(`${announced}{"a":`, true)).toMatchObject({ code: "INVALID", message: "the body broke off" });
});

it("is none where none is announced, and not waited for", async () => {
  expect(await outcomeOf("\r\n")).toEqual({});
  expect(await outcomeOf("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")).toEqual({});
});
