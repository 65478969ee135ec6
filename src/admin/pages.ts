// What Layover says under its own name: health, its CA certificate, and how to point a client at it.
import type { ServerResponse } from "node:http";
import { clientDoctor } from "./doctor-client.ts";
import type { Condition } from "./health.ts";

export interface PageParts {
  readonly condition: () => Promise<Condition>;
  /** PEM of all public certificates. */
  readonly caBundle: string;
  readonly fingerprints: readonly string[];
  /** Hijack names. */
  readonly names: readonly string[];
  /** Layover's own. */
  readonly own: readonly string[];
  /** The page of the set-up kit that was asked for; `undefined` where there is none of that name. */
  readonly setup: () => Promise<{ readonly isScript: boolean; readonly body: string } | undefined>;
}

export interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export const isProbe = (path: string): boolean => path === "/livez" || path === "/readyz";

/** `origin` like `http://10.0.0.5`. */
export const ownPage = async (parts: PageParts, method: string, path: string, origin: string): Promise<Page> => {
  if (method !== "GET" && method !== "HEAD") return text(405, "only GET and HEAD here\n");
  if (path === "/livez") return text(200, "ok\n");
  if (path === "/readyz") return ready(await parts.condition());
  if (path === "/ca.crt") return { status: 200, type: "application/x-pem-file", body: parts.caBundle };
  if (path === "/client.json") return hello(parts);
  if (path === "/doctor") return script(doctorFor(parts, origin));
  if (path === "/") return text(200, front(parts, await parts.condition(), origin));
  const setup = /^\/setup(\/|$)/.test(path) ? await parts.setup() : undefined;
  if (setup !== undefined) return setup.isScript ? script(setup.body) : text(200, setup.body);
  return text(404, "not found; see /\n");
};

export const sendPage = (res: ServerResponse, { status, type, body }: Page): void => {
  res
    .writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body), "cache-control": "no-store" })
    .end(body);
};

const script = (body: string): Page => ({ status: 200, type: "text/x-shellscript; charset=utf-8", body });

/** A wildcard is no name that can be asked for. */
const doctorFor = ({ names, own, caBundle }: PageParts, url: string): string =>
  clientDoctor({ url, own: own[0]!, names: names.filter((name) => !name.includes("*")), ca: caBundle });

const text = (status: number, body: string): Page => ({ status, type: "text/plain; charset=utf-8", body });

const ready = (now: Condition): Page => ({
  status: now.ready ? 200 : 503,
  type: "application/json",
  body: `${JSON.stringify(now)}\n`,
});

/** What `layover doctor --from client` has to know of us. */
const hello = ({ names, own, fingerprints }: PageParts): Page => ({
  status: 200,
  type: "application/json",
  body: `${JSON.stringify({ names, own, fingerprints, time: Math.floor(Date.now() / 1_000) })}\n`,
});

const front = (
  { names, fingerprints }: PageParts,
  { notes }: Condition,
  origin: string,
): string => `${notes.map((note) => `! ${note}\n`).join("")}Layover stands in for:
${names.map((name) => `  ${name}`).join("\n")}

CA certificate   ${origin}/ca.crt
${fingerprints.map((fingerprint) => `SHA-256          ${fingerprint}`).join("\n")}
Set up a client  curl -fsS ${origin}/setup/docker | less      others: ${origin}/setup
Is it right?     curl -fsS ${origin}/doctor | sh
Health           ${origin}/livez  ${origin}/readyz
`;
