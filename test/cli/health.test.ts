// `layover health` against a front end and a DNS that play the running appliance's part.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { dnsEnd } from "../../src/app-dns.ts";
import { loadConfig } from "../../src/config/load.ts";
import { silent } from "../../src/lib/log.ts";
import { freePort } from "../front.ts";
import { emptyFolder, layover } from "./command.ts";

const frontEnd = async (status: number, body: string): Promise<string> => {
  const server = createServer((req, res) => void res.writeHead(req.url === "/readyz" ? status : 404).end(body));
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
};

/** Layover's own, with resolvers that nobody is at. */
const dns = async (): Promise<string> => {
  const env = { LAYOVER_LISTEN_DNS: `127.0.0.1:${await freePort()}`, LAYOVER_RESOLVERS: "127.0.0.1:9" };
  const end = await dnsEnd(await loadConfig({ file: undefined, env, cwd: emptyFolder() }), silent, { healthy: () => false });
  onTestFinished(() => end.close());
  return env.LAYOVER_LISTEN_DNS;
};

/** A port that takes questions and answers none. */
const deaf = async (): Promise<string> => {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  onTestFinished(() => void socket.close());
  return `127.0.0.1:${socket.address().port}`;
};

const health = (http: string, dns: string, more: NodeJS.ProcessEnv = {}) =>
  layover(["health"], emptyFolder(), { LAYOVER_LISTEN_HTTP: http, LAYOVER_LISTEN_DNS: dns, ...more });

describe("health", () => {
  it("says nothing when all is well, its resolvers not being its own health", async () => {
    expect(await health(await frontEnd(200, "{}"), await dns())).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  it("is of what runs: a list of the mirror that is wrong just now makes nobody ill", async () => {
    const found = await health(await frontEnd(200, "{}"), await dns(), { LAYOVER_MIRROR: "absent.yaml" });
    expect(found).toEqual({ code: 0, stdout: "", stderr: "warning: absent.yaml: there is no such file\n" });
  });

  it("says what is wrong with the front end", async () => {
    const http = await frontEnd(503, '{"ready":false}\n');
    const { code, stderr } = await health(http, "[]");
    expect({ code, stderr }).toEqual({ code: 1, stderr: `http://${http}/readyz: 503 {"ready":false}\n` });
  });

  it("says that DNS is deaf, or not there", async () => {
    const http = await frontEnd(200, "{}");
    const place = await deaf();
    expect(await health(http, place)).toMatchObject({ code: 1, stderr: `DNS on ${place}: no answer within 3 s\n` });
    const nobody = `127.0.0.1:${await freePort()}`;
    expect(await health(http, nobody)).toMatchObject({ code: 1, stderr: expect.stringContaining(`DNS on ${nobody}: `) });
  });

  it("asks over TLS where there is no plain door, and a door on all addresses at loopback", async () => {
    const { code, stderr } = await health("[]", "[]", { LAYOVER_LISTEN_HTTPS: `0.0.0.0:${await freePort()}` });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/readyz: .*ECONNREFUSED/);
  });

  it("fails of a wrong configuration as every command does", async () => {
    expect(await health("nowhere", "[]")).toMatchObject({ code: 2, stderr: expect.stringContaining("LAYOVER_LISTEN_HTTP") });
  });
});
