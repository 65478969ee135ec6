// What a real OpenSSL client gets from the TLS door that it should not: a session taken up again, for this name or another; older protocols;
// another handshake within a connection.
import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { connect, createServer } from "node:tls";
import { expect, it, onTestFinished } from "vitest";
import { silent } from "../../src/lib/log.ts";
import { secureContexts } from "../../src/tls/sni.ts";
import { listen, openScratch, scratch } from "./scratch.ts";

const SITES = ["ghcr.io", "registry.gitlab.com"];

const world = async () => {
  const ca = await openScratch();
  const contexts = secureContexts(ca, {
    allowed: (name) => SITES.includes(name),
    ownName: "layover",
    clock: Date.now,
    log: silent,
  });
  const port = await listen(contexts.options, contexts.follow);
  const folder = scratch();
  writeFileSync(join(folder, "ca.crt"), ca.bundle);
  /** All that it prints. */
  const client = (name: string, ...args: string[]): Promise<string> =>
    new Promise((resolve) => {
      const target = ["-connect", `127.0.0.1:${port}`, "-servername", name, "-CAfile", join(folder, "ca.crt"), "-ign_eof"];
      const child = execFile("openssl", ["s_client", ...target, ...args], { timeout: 10_000 }, (_error, out, err) =>
        resolve(out + err),
      );
      child.stdin?.end();
    });
  return { client, folder };
};

it.each(["-tls1_2", "-tls1_3"])(
  "no session is taken up again over %s, neither by the same name nor by another's",
  async (version) => {
    const { client, folder } = await world();
    const session = join(folder, "session.pem");
    const first = await client("ghcr.io", version, "-sess_out", session);
    expect(first).toMatch(/New, TLSv1\.[23]/);
    // without a ticket TLS 1.3 has nothing to keep
    const offered = existsSync(session) && readFileSync(session, "utf8").includes("BEGIN") ? ["-sess_in", session] : [];
    expect(offered.length > 0 || version === "-tls1_3").toBe(true);
    for (const name of SITES) {
      const again = await client(name, version, ...offered);
      expect(again).toMatch(/New, TLSv1\.[23]/);
      expect(again).not.toMatch(/Reused/);
    }
    expect(await client("evil.example", version, ...offered)).toMatch(/unrecognized name/);
  },
);

it.each(["-tls1", "-tls1_1"])("%s is refused", async (version) => {
  const { client } = await world();
  expect(await client("ghcr.io", version, "-cipher", "DEFAULT@SECLEVEL=0")).toMatch(
    /alert protocol version|no protocols available/,
  );
});

it("there is no second handshake in a connection", async () => {
  const ca = await openScratch();
  const contexts = secureContexts(ca, {
    allowed: (name) => SITES.includes(name),
    ownName: "layover",
    clock: Date.now,
    log: silent,
  });
  const server = createServer(contexts.options, (socket) => socket.on("error", () => undefined));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const socket = connect({ host: "127.0.0.1", port, ca: ca.bundle, servername: "ghcr.io", maxVersion: "TLSv1.2" });
  onTestFinished(() => {
    socket.destroy();
    server.close();
  });
  await once(socket, "secureConnect");
  const refused = once(socket, "error");
  socket.renegotiate({}, () => undefined);
  expect(String((await refused)[0])).toMatch(/no.?renegotiation/i);
});
