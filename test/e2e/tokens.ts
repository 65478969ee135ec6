// The token server, on a host of its own as gitlab.com: ES256 JWTs of five minutes, as GitLab's jwt/auth gives them.
import { sign } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { Authority, Pair } from "./authority.ts";

export const USERS: Readonly<Record<string, string>> = { alice: "alice's secret", bob: "bob's secret" };
export const SERVICE = "container_registry";
export const ISSUER = "gitlab-issuer";
/** Not loopback: oras sends no credentials to a token server there. ./run gives the world this address. */
export const ADDRESS = "203.0.113.5";
const HOST = "gitlab.com";

type Access = { type: string; name: string; actions: string[] };

const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Everyone pulls below acme/public; a user has all rights below their own name, and may push below acme. */
const allowed = (user: string | undefined, repository: string, action: string): boolean => {
  if (user && (repository.startsWith(`${user}/`) || repository.startsWith("acme/"))) return true;
  return repository.startsWith("acme/public/") && action === "pull";
};

const grant = (user: string | undefined, scope: string): Access => {
  const [type = "", name = "", actions = ""] = scope.split(":");
  return { type, name, actions: actions.split(",").filter((action) => allowed(user, name, action)) };
};

/** The user of a Basic header; undefined for nobody, null for a wrong password. */
const userOf = (authorization: string | undefined): string | undefined | null => {
  if (!authorization?.startsWith("Basic ")) return undefined;
  const [user = "", ...password] = Buffer.from(authorization.slice(6), "base64").toString().split(":");
  return Object.hasOwn(USERS, user) && USERS[user] === password.join(":") ? user : null;
};

export class TokenServer {
  readonly #signer: Pair;
  readonly #web: Pair;
  #server: Server | undefined;
  readonly #dropped = new Set<string>();
  asked = 0;
  /** The addresses that have asked. */
  readonly callers = new Set<string>();

  private constructor(web: Pair, signer: Pair) {
    this.#web = web;
    this.#signer = signer;
  }

  static async make(authority: Authority): Promise<TokenServer> {
    return new TokenServer(await authority.issue(HOST), await authority.issue("token-signer.invalid"));
  }

  /** A token with exactly this access: what the test itself shows at the registry's plain port. */
  mint(access: readonly Access[], subject = ""): string {
    const pem = readFileSync(this.#signer.certificate, "utf8");
    const x5c = [pem.replace(/-----[A-Z ]+-----|\s/g, "")];
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: ISSUER,
      aud: SERVICE,
      sub: subject,
      iat: now,
      nbf: now - 5,
      exp: now + 300,
      jti: `${now}-${Math.random()}`,
      access,
    };
    const text = `${base64url({ typ: "JWT", alg: "ES256", x5c })}.${base64url(claims)}`;
    const key = readFileSync(this.#signer.key);
    return `${text}.${sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
  }

  /** From now on it does not know this user. */
  drop(user: string): void {
    this.#dropped.add(user);
  }

  async start(): Promise<void> {
    const pair = { cert: readFileSync(this.#web.certificate), key: readFileSync(this.#web.key) };
    this.#server = createServer(pair, (request, response) => {
      this.asked++;
      this.callers.add(request.socket.remoteAddress ?? "");
      const { status, body } = this.#answer(request.method, request.url ?? "", request.headers.authorization);
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
    this.#server.listen(443, ADDRESS);
    await once(this.#server, "listening");
  }

  #answer(method: string | undefined, target: string, authorization: string | undefined): { status: number; body: unknown } {
    const url = new URL(target, `https://${HOST}`);
    if (url.pathname !== "/jwt/auth") return { status: 404, body: {} };
    if (method !== "GET") return { status: 405, body: {} }; // so that containerd falls back from OAuth's POST
    const user = userOf(authorization);
    if (user === null || (user !== undefined && this.#dropped.has(user)))
      return { status: 401, body: { errors: [{ code: "UNAUTHORIZED", message: "HTTP Basic: Access denied" }] } };
    const scopes = url.searchParams.getAll("scope").flatMap((scope) => scope.split(" "));
    const access = scopes.map((scope) => grant(user, scope)).filter(({ actions }) => actions.length > 0);
    return { status: 200, body: { token: this.mint(access, user), expires_in: 300, issued_at: new Date().toISOString() } };
  }

  get address(): AddressInfo | undefined {
    return this.#server?.address() as AddressInfo | undefined;
  }

  async stop(): Promise<void> {
    if (!this.#server?.listening) return;
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }
}
