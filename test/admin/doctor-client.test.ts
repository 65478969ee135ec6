// The doctor as a shell script, against an address where something else than Layover answers.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { expect, it, onTestFinished } from "vitest";
import { clientDoctor } from "../../src/admin/doctor-client.ts";
import { run } from "../cli/command.ts";
import { makeRoot } from "../cli/roots.ts";

it("has an end, in little memory, where the answer has none", async () => {
  const body = Buffer.alloc(65_536, "x");
  const server = createServer((_, response) => {
    Readable.from(Array.from({ length: 4_096 }, () => body)).pipe(response);
  }).listen(0, "127.0.0.1");
  onTestFinished(() => server.close().closeAllConnections());
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const script = clientDoctor({ url, own: "layover.invalid", names: ["ghcr.io"], ca: makeRoot(["ghcr.io"]).pem });
  const { code, stdout } = await run("sh", ["-c", "ulimit -v 200000; exec sh -s -- --door mirror"], script);
  expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringMatching(/^fail +layover[\s\S]+\n2 wrong, 0 to look at\n$/) });
});
