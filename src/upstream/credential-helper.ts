// Asks a Docker credential helper: `docker-credential-NAME get`, the registry on its standard input, JSON on its output. It is run without a
// shell, ended with all that it has started when it is late, and nothing that it says goes into a log or an error.
import { type ChildProcess, spawn } from "node:child_process";
import { OciError } from "../oci/error.ts";
import { parseObject } from "../oci/json.ts";
import type { OwnCredentials } from "../sites.ts";

/** Some go to a cloud for it. Milliseconds. */
const WITHIN = 10_000;
const MAX_OUTPUT = 64 * 1024;
/** What Docker itself calls its Hub towards helpers. */
const HUB_KEY = "https://index.docker.io/v1/";
const HUB_HOSTS = new Set(["registry-1.docker.io", "index.docker.io"]);
/** As the name of a user: the secret is an identity token. */
const IDENTITY = "<token>";

/** Throws UPSTREAM_UNREACHABLE, or the signal's reason. */
export const askHelper = async (name: string, upstream: URL, signal: AbortSignal): Promise<OwnCredentials> => {
  const program = `docker-credential-${name}`;
  const fail = (why: string) =>
    new OciError("UPSTREAM_UNREACHABLE", `${program} gives no credentials for ${upstream.host}: ${why}`);
  const { output, status, trouble } = await run(program, HUB_HOSTS.has(upstream.hostname) ? HUB_KEY : upstream.host, signal);
  signal.throwIfAborted();
  if (trouble !== undefined) throw fail(trouble);
  if (status !== 0) throw fail(/credentials not found/i.test(output.toString()) ? "it has none" : `it ends with ${status}`);
  const { Username: username, Secret: secret } = parseObject(output) ?? {};
  if (typeof username !== "string" || typeof secret !== "string" || secret === "") throw fail("what it says is no credential");
  return username === IDENTITY ? { identityToken: secret } : { username, password: secret };
};

interface Run {
  readonly output: Buffer;
  readonly status: number | string;
  readonly trouble: string | undefined;
}

/** Never rejects. */
const run = (program: string, input: string, signal: AbortSignal): Promise<Run> =>
  new Promise((resolve) => {
    // a group of its own, so that what it starts ends with it; it has no streams where this process has no file left to open
    const child: ChildProcess = spawn(program, ["get"], { stdio: ["pipe", "pipe", "ignore"], detached: true });
    const chunks: Buffer[] = [];
    let size = 0;
    const end = (status: Run["status"], trouble?: string) => {
      clearTimeout(late);
      signal.removeEventListener("abort", leave);
      resolve({ output: Buffer.concat(chunks), status, trouble });
    };
    const stop = (trouble: string) => {
      end("SIGKILL", trouble);
      killGroup(child);
      child.stdout?.destroy();
    };
    const leave = () => stop("nobody waits for it");
    const late = setTimeout(() => stop(`it takes more than ${WITHIN / 1_000} s`), WITHIN);
    signal.addEventListener("abort", leave, { once: true });
    child.stdout?.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_OUTPUT) stop("it says more than any credential is");
      else chunks.push(chunk);
    });
    child.on("error", ({ code = "" }: NodeJS.ErrnoException) => end(code, START_ERRORS[code] ?? `it cannot be run (${code})`));
    child.on("close", (status, killedBy) => end(status ?? killedBy ?? "nothing"));
    // one that does not read what it is asked may be right all the same
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });

const START_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such program on the PATH",
  EACCES: "it may not be run by this user",
};

const killGroup = ({ pid }: ChildProcess): void => {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // all of it has ended
  }
};
