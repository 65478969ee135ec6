// Requests that are too much of something, on a whole door: each is refused in words where there is somebody to read them, and the door goes on.
import { once } from "node:events";
import { expect, it } from "vitest";
import { get, openTestDoor } from "./door.ts";

const answerTo = async (bytes: string): Promise<string> => {
  const { connect } = await openTestDoor(async ({ res }) => void res.end("own"));
  const socket = await connect();
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += String(chunk)));
  socket.write(bytes);
  if (!socket.closed) await Promise.race([once(socket, "close"), once(socket, "end")]);
  socket.destroy();
  const next = await connect();
  next.write(get("/"));
  expect(String((await once(next, "data"))[0])).toMatch(/^HTTP\/1\.1 200/);
  return text.split("\r\n")[0]!;
};

it.each([
  ["a header of 40 kB", `GET / HTTP/1.1\r\nHost: box\r\nAuthorization: Bearer ${"x".repeat(40_000)}\r\n\r\n`, "431"],
  ["ten thousand headers", `GET / HTTP/1.1\r\nHost: box\r\n${"a:b\r\n".repeat(10_000)}\r\n`, "431"],
  ["a path of 40 kB", `GET /${"x".repeat(40_000)} HTTP/1.1\r\nHost: box\r\n\r\n`, "431"],
  ["no HTTP", "\u0000\u0001\u0002\r\n\r\n", "400"],
  ["a length that is none", "GET / HTTP/1.1\r\nHost: box\r\nContent-Length: -1\r\n\r\n", "400"],
  ["two lengths", "POST / HTTP/1.1\r\nHost: box\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", "400"],
  [
    "a length and chunks",
    "POST / HTTP/1.1\r\nHost: box\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "400",
  ],
  ["a line that is folded", "GET / HTTP/1.1\r\nHost: box\r\nX: a\r\n b\r\n\r\n", "400"],
  ["a space before the colon", "GET / HTTP/1.1\r\nHost : box\r\n\r\n", "400"],
])("%s", async (_what, bytes, status) => {
  expect(await answerTo(bytes)).toMatch(new RegExp(`^HTTP/1.1 ${status}`));
});

it("who sends a thousand requests at once is cut", async () => {
  const { connect, exchanges } = await openTestDoor(async ({ res }) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    res.end("own");
  });
  const socket = await connect();
  socket.resume();
  socket.write(get("/").repeat(1_000));
  await Promise.race([once(socket, "close"), once(socket, "end")]);
  expect(exchanges.length).toBeLessThan(10);
});
