// What the tests of the CA share: a directory that goes away, a CA in it, servers and clients that trust it.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConnectionOptions, connect, createServer, type PeerCertificate, type Server, type TlsOptions } from "node:tls";
import { type Logger, pino } from "pino";
import { onTestFinished } from "vitest";
import { openCa } from "../../src/tls/ca.ts";
import type { CaOptions } from "../../src/tls/plan.ts";

export const DAY = 86_400_000;

export const scratch = (): string => {
  const directory = mkdtempSync(join(tmpdir(), "layover-tls-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
};

export const caOptions = (directory: string, more: Partial<CaOptions> = {}): CaOptions => ({
  certificateFile: join(directory, "certs/ca.crt"),
  keyFile: join(directory, "keys/ca.key"),
  names: ["ghcr.io", "registry.gitlab.com", "layover"],
  constraints: [],
  clock: Date.now,
  hostname: "box",
  ...more,
});

export const openScratch = (more: Partial<CaOptions> = {}) => openCa(caOptions(scratch(), more));

export const openssl = (...args: string[]): string =>
  execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

/** What `openssl verify -x509_strict` says of a chain; leaf first. */
export const verify = (rootPem: string, chainPem: string, hostname?: string): string => {
  const directory = mkdtempSync(join(tmpdir(), "layover-verify-"));
  try {
    writeFileSync(join(directory, "root.pem"), rootPem);
    writeFileSync(join(directory, "leaf.pem"), chainPem);
    const name = hostname === undefined ? [] : ["-verify_hostname", hostname];
    return openssl(
      "verify",
      "-x509_strict",
      "-purpose",
      "sslserver",
      ...name,
      "-no-CApath",
      "-no-CAstore",
      "-CAfile",
      join(directory, "root.pem"),
      "-untrusted",
      join(directory, "leaf.pem"),
      join(directory, "leaf.pem"),
    ).trim();
  } catch (error) {
    return (error as { stderr: string }).stderr;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
};

export const listen = async (options: TlsOptions, prepare: (server: Server) => void = () => undefined): Promise<number> => {
  const server = createServer(options, (socket) => {
    socket.on("error", () => undefined);
    socket.end("served");
  });
  prepare(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => new Promise<void>((resolve) => void server.close(() => resolve())));
  return (server.address() as AddressInfo).port;
};

export interface Seen {
  readonly certificate: PeerCertificate;
  readonly protocol: string | null;
  readonly reused: boolean;
}

/** A whole handshake and the server's answer read to its end; rejects with the client's error. */
export const shake = (port: number, options: ConnectionOptions): Promise<Seen> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, ...options });
    let seen: Seen | undefined;
    socket.on("secureConnect", () => {
      seen = { certificate: socket.getPeerCertificate(), protocol: socket.getProtocol(), reused: socket.isSessionReused() };
    });
    socket.on("error", reject);
    socket.on("close", () => (seen ? resolve(seen) : reject(new Error("closed before the handshake was done"))));
    socket.resume();
  });

export const recorder = (): { log: Logger; lines: Record<string, unknown>[] } => {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: "debug" }, { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
  return { log, lines };
};

/** All that `openssl s_client` says; it checks strictly and tells the server why it goes. */
export const sClient = (port: number, rootPem: string, servername: string): Promise<string> => {
  const file = join(scratch(), "ca.crt");
  writeFileSync(file, rootPem);
  const target = ["-connect", `127.0.0.1:${port}`, "-servername", servername, "-verify_hostname", servername];
  const trust = ["-no-CApath", "-no-CAstore", "-CAfile", file, "-x509_strict", "-verify_return_error", "-brief"];
  const client = spawn("openssl", ["s_client", ...target, ...trust], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [client.stdout, client.stderr]) stream.on("data", (data: Buffer) => (said += String(data)));
  return new Promise((resolve, reject) => {
    client.on("error", reject).on("close", () => resolve(said));
  });
};
