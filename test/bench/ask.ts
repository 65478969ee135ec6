// One request by curl, and the check that its answer is the right one: a fast server that answers wrongly has no figure.
import { run } from "../e2e/part.ts";
import { HOST, type Thing } from "./origin.ts";
import type { Door } from "./server.ts";

export const ACCEPT = "Accept: application/vnd.oci.image.manifest.v1+json";

const curl = ({ address, certificate }: Door): string[] => {
  const to = ["--cacert", certificate, "--resolve", `${HOST}:443:${address}`];
  return ["curl", "-sS", "--http1.1", "--max-time", "120", ...to, "-H", ACCEPT];
};

/** What a fetch came to; `firstByte` is that of the headers. Seconds. */
export type Fetched = { status: number; bytes: number; seconds: number };
const SAYS = "%{stderr}%{http_code} %{size_download} %{time_total}\\n";

const parse = (line: string): Fetched => {
  const [status, bytes, seconds] = line.split(" ").map(Number);
  return { status: status ?? 0, bytes: bytes ?? 0, seconds: seconds ?? 0 };
};

/** Fetches a thing `times` times over one connection and throws it away; throws when one was not of the right status and length. */
export const fetchAll = async (door: Door, thing: Thing, times = 1): Promise<Fetched[]> => {
  const pair = [`https://${HOST}${thing.path}`, "-o", "/dev/null"];
  const { code, err } = await run([...curl(door), "-w", SAYS, ...Array.from({ length: times }, () => pair).flat()]);
  const all = err.trim().split("\n").map(parse);
  const isRight = code === 0 && all.length === times && all.every(({ status, bytes }) => status === 200 && bytes === thing.size);
  if (!isRight) throw new Error(`${door.name}: ${thing.path}: curl ${code}: ${err.slice(0, 300)}`);
  return all;
};

/** Fetches it and compares status, length and digest. */
export const verify = async (door: Door, thing: Thing): Promise<void> => {
  const piped = ["bash", "-c", 'set -o pipefail; "$@" | sha256sum', "ask"];
  const { code, out, err } = await run([...piped, ...curl(door), "-w", SAYS, `https://${HOST}${thing.path}`]);
  const { status, bytes } = parse(err.trim());
  const digest = `sha256:${out.split(" ")[0]}`;
  if (code === 0 && status === 200 && bytes === thing.size && digest === thing.digest) return;
  throw new Error(`${door.name}: ${thing.path}: curl ${code}, ${err.trim()}; ${bytes} bytes, ${digest}`);
};

/** The protocol and cipher that a client of OpenSSL's, as all of ours are, gets from it. */
export const cipherOf = async ({ address, certificate }: Door): Promise<string> => {
  const to = ["-connect", `${address}:443`, "-servername", HOST, "-CAfile", certificate, "-verify_return_error"];
  const { code, out, err } = await run(["openssl", "s_client", "-brief", ...to], { ms: 10_000 });
  const said = (key: string) => new RegExp(`^${key}: (.*)$`, "m").exec(err + out)?.[1];
  if (code !== 0) throw new Error(`${address}: no TLS: ${err}`);
  return `${said("Protocol version")} ${said("Ciphersuite")}`;
};
