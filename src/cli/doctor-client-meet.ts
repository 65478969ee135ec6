// Which Layover this machine is to use: what its plain HTTP door says of it, and the addresses that are its own.
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { readinessOf } from "../admin/readiness.ts";
import { plainAddress } from "../lib/prefixes.ts";
import { parseRoots, type Root } from "./ca-roots.ts";
import type { Ask } from "./doctor-ask.ts";
import { type Finding, fail, ok, reasonOf, warn } from "./doctor-finding.ts";
import { judgeClock } from "./doctor-upstream.ts";

export interface Met {
  readonly url: URL;
  /** The names that it stands in for. */
  readonly names: readonly string[];
  /** Its own; none: it could not be asked. */
  readonly own: string | undefined;
  /** Of its CA; none: it could not be asked. */
  readonly roots: readonly Root[];
  /** Where it is, as this machine is told. */
  readonly addresses: readonly string[];
  readonly findings: readonly Finding[];
}

export interface Meeting {
  readonly url: URL;
  /** For when it cannot be asked. */
  readonly names: readonly string[];
  readonly ask: Ask;
  readonly timeout: number;
}

const MAX_BYTES = 2 ** 20;

/** Never rejects: who cannot be reached is a finding. */
export const meet = async ({ url, names, ask, timeout }: Meeting): Promise<Met> => {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const at = await addressesOf(host);
  if (at.length === 0) {
    const text = `${host} has no address here, so Layover itself could not be asked`;
    return { url, names, own: undefined, roots: [], addresses: [], findings: [fail("layover", text, SAY_WHERE)] };
  }
  try {
    const [hello, pem, health] = await Promise.all(
      ["/client.json", "/ca.crt", "/readyz"].map((path) => get(new URL(path, url), timeout)),
    );
    const roots = parseRoots(pem!.body);
    if (typeof roots === "string") throw new Error(`/ca.crt ${roots}`);
    const said = parseHello(hello!.body);
    // a wildcard is no name that can be asked for
    const plain = said.names.filter((name) => !name.includes("*"));
    const told = await Promise.all(at.map((address) => ownAddresses(ask, address, said.own)));
    return {
      url,
      names: plain,
      own: said.own[0],
      roots,
      addresses: [...new Set([...at, ...told.flat()].map(plainAddress))],
      findings: [judgeHealth(url, health!), clockOf(pem!.date)],
    };
  } catch (error) {
    const text = `${url.origin} does not answer as Layover does: ${reasonOf(error)}`;
    return {
      url,
      names,
      own: undefined,
      roots: [],
      addresses: at,
      findings: [fail("layover", text, `let this machine reach it; ${SAY_WHERE}`)],
    };
  }
};

const SAY_WHERE = "say where Layover is: --server http://<its address>";

const addressesOf = async (host: string): Promise<string[]> => {
  if (isIP(host) !== 0) return [host];
  const found = await lookup(host, { all: true }).catch(() => []);
  return found.map(({ address }) => address);
};

interface Said {
  readonly status: number;
  readonly body: string;
  readonly date: string | null;
}

const get = async (url: URL, timeout: number): Promise<Said> => {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeout), redirect: "error" }).catch((error: unknown) => {
    throw (error as { cause?: Error }).cause ?? error;
  });
  let body = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    body += decoder.decode(chunk as Uint8Array, { stream: true });
    if (body.length > MAX_BYTES) throw new Error(`${url.pathname} does not end`);
  }
  if (!response.ok && url.pathname !== "/readyz") throw new Error(`${url.pathname} is answered ${response.status}`);
  return { status: response.status, body, date: response.headers.get("date") };
};

/** What /client.json says; `*.example` among the names. Throws Error. */
export const parseHello = (text: string): { names: string[]; own: string[] } => {
  const { names, own } = JSON.parse(text) as { names?: unknown; own?: unknown };
  const isNames = (list: unknown): list is string[] =>
    Array.isArray(list) && list.every((name) => typeof name === "string" && /^[a-z0-9.*_-]{1,253}$/.test(name));
  if (!isNames(names) || !isNames(own)) throw new Error("/client.json is not what Layover says");
  return { names, own };
};

/** Its own name is answered even while hijacked ones are not; an alias's Layover has no DNS to ask. */
const ownAddresses = async (ask: Ask, host: string, [name]: readonly string[]): Promise<readonly string[]> => {
  if (name === undefined) return [];
  const questions = (["A", "AAAA"] as const).map((type) =>
    ask({ server: { host, port: 53 }, name, type, transport: "udp" }).catch(() => undefined),
  );
  return (await Promise.all(questions)).flatMap((reply) => reply?.addresses ?? []);
};

const judgeHealth = (url: URL, { status, body }: Said): Finding => {
  const readiness = readinessOf(status, body);
  if (readiness === "ready") return ok("layover", `${url.origin} is ready`);
  if (readiness === "bypass")
    return warn("layover", `${url.origin}: ${notesOf(body)}`, "`layover bypass off` there, if that is over");
  const mend = "see Layover's log; until then names lead to the real registries";
  return fail("layover", `${url.origin} is not well: ${notesOf(body)}`, mend);
};

const notesOf = (body: string): string => {
  try {
    const { notes } = JSON.parse(body) as { notes?: unknown };
    return Array.isArray(notes) ? notes.join("; ") : "it does not say why";
  } catch {
    return "it does not say why";
  }
};

/** Its certificates are made by its own clock. */
const clockOf = (date: string | null): Finding => {
  const time = Date.parse(date ?? "");
  return judgeClock(Number.isNaN(time) ? [] : [time - Date.now()], { whose: "Layover's" });
};
