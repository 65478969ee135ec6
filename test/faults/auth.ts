// Who may read what at the scripted upstream: everybody, holders of a password, or bearers of tokens that its own realm gives out.
import { createHmac, randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { type Answer, answerWith, refuse } from "./answer.ts";

export interface Accounts {
  /** Name → password. Tests may change it as they go. */
  readonly users?: Record<string, string>;
  /** Private repositories and who owns them; all others are public, pushed to by any user. */
  readonly owners?: Record<string, string>;
  /** Identity token → whose it is: what buys tokens by POST (OAuth 2.0's refresh token). */
  readonly identities?: Record<string, string>;
}

export type Auth =
  | { readonly kind: "none" }
  | ({ readonly kind: "basic" } & Accounts)
  | ({
      readonly kind: "bearer";
      readonly token?: "opaque" | "jwt";
      /** Seconds; 300 unless told. */
      readonly life?: number;
      /** In place of this server's own `/token`. */
      readonly realm?: string;
      /** The challenge does not say what for. */
      readonly noScope?: boolean;
      /** The token stands in this field of the answer. */
      readonly field?: "token" | "access_token";
    } & Accounts);

export type Action = "pull" | "push";

interface Granted {
  readonly user: string | undefined;
  readonly scopes: ReadonlySet<string>;
  readonly until: number;
}

const SERVICE = "fault.example";

/** What a token has to hold, and how the challenge asks for it. */
interface Wanted {
  readonly needs: string;
  readonly asks: string;
}

const CATALOG: Wanted = { needs: "catalog", asks: "registry:catalog:*" };

const actions = (action: Action): string => (action === "push" ? "pull,push" : "pull");

export class Gate {
  readonly #auth: Auth;
  readonly #clock: () => number;
  readonly #granted = new Map<string, Granted>();

  constructor(auth: Auth, clock: () => number) {
    this.#auth = auth;
    this.#clock = clock;
  }

  /** `undefined` lets the request pass. A ping has no `repo`. */
  refusal(req: IncomingMessage, repo: string | undefined, action: Action, origin: string): Answer | undefined {
    if (this.#auth.kind === "none") return undefined;
    if (this.#auth.kind === "basic") return this.#basicRefusal(req, repo, action);
    const scope = repo === undefined ? undefined : { needs: `${repo}:${action}`, asks: `repository:${repo}:${actions(action)}` };
    return this.#bearerRefusal(req.headers.authorization, scope, origin);
  }

  /** Of `/v2/_catalog`, which any user may read, and nobody else. */
  catalogRefusal(req: IncomingMessage, origin: string): Answer | undefined {
    if (this.#auth.kind === "none") return undefined;
    if (this.#auth.kind === "basic") return this.#basicRefusal(req, undefined, "pull");
    return this.#bearerRefusal(req.headers.authorization, CATALOG, origin);
  }

  /** `GET /token?service=&scope=`, with Basic or without; or a POST of the same with an identity token. */
  token(req: IncomingMessage, query: URLSearchParams): Answer {
    if (this.#auth.kind !== "bearer") return refuse(404, "UNSUPPORTED");
    const isPost = req.method === "POST";
    const user = isPost ? this.#ownerOf(query) : this.#userOf(req.headers.authorization);
    if (user === null) return isPost ? answerWith(400, { error: "invalid_grant" }) : refuse(401, "UNAUTHORIZED");
    const scopes = query.getAll("scope").flatMap((scope) => this.#grantable(scope, user));
    const { life = 300, field = "token" } = this.#auth;
    const until = this.#clock() + life * 1_000;
    const token = this.#auth.token === "jwt" ? jwt(user, scopes, until) : randomBytes(24).toString("base64url");
    this.#granted.set(token, { user, scopes: new Set(scopes), until });
    return answerWith(200, { [field]: token, expires_in: life, issued_at: new Date(this.#clock()).toISOString() });
  }

  /** No token that was given out is good any more. */
  revokeTokens(): void {
    this.#granted.clear();
  }

  #basicRefusal(req: IncomingMessage, repo: string | undefined, action: Action): Answer | undefined {
    const user = this.#userOf(req.headers.authorization);
    const challenge = { "www-authenticate": `Basic realm="${SERVICE}"` };
    if (user === null || user === undefined) return refuse(401, "UNAUTHORIZED", challenge);
    return repo === undefined || this.#may(user, repo, action) ? undefined : refuse(403, "DENIED");
  }

  #bearerRefusal(authorization: string | undefined, wanted: Wanted | undefined, origin: string): Answer | undefined {
    const [, token] = /^Bearer (.+)$/i.exec(authorization ?? "") ?? [];
    const granted = token === undefined ? undefined : this.#granted.get(token);
    const isAlive = granted !== undefined && this.#clock() < granted.until;
    if (isAlive && (wanted === undefined || granted.scopes.has(wanted.needs))) return undefined;
    const { realm = `${origin}/token`, noScope = false } = this.#auth as { realm?: string; noScope?: boolean };
    const scope = wanted === undefined || noScope ? "" : `,scope="${wanted.asks}"`;
    const error = isAlive ? ',error="insufficient_scope"' : ',error="invalid_token"';
    const challenge = `Bearer realm="${realm}",service="${SERVICE}"${scope}${token === undefined ? "" : error}`;
    return refuse(401, "UNAUTHORIZED", { "www-authenticate": challenge });
  }

  /** `undefined` without a credential, `null` with a wrong one. */
  #userOf(authorization: string | undefined): string | undefined | null {
    if (authorization === undefined) return undefined;
    const [, encoded] = /^Basic (.+)$/i.exec(authorization) ?? [];
    const [name, password] = Buffer.from(encoded ?? "", "base64")
      .toString()
      .split(/:(.*)/s);
    return name !== undefined && password !== undefined && this.#accounts.users?.[name] === password ? name : null;
  }

  /** `null` for an identity token that nobody has. */
  #ownerOf(form: URLSearchParams): string | null {
    const isRefresh = form.get("grant_type") === "refresh_token" && form.get("client_id") !== null;
    return (isRefresh && this.#accounts.identities?.[form.get("refresh_token") ?? ""]) || null;
  }

  #grantable(scope: string, user: string | undefined): string[] {
    if (scope === CATALOG.asks) return user === undefined ? [] : [CATALOG.needs];
    const [, repo, actions] = /^repository:(.+):([^:]+)$/.exec(scope) ?? [];
    if (repo === undefined) return [];
    return (["pull", "push"] as const)
      .filter((action) => actions!.split(",").includes(action) && this.#may(user, repo, action))
      .map((action) => `${repo}:${action}`);
  }

  #may(user: string | undefined, repo: string, action: Action): boolean {
    const owner = this.#accounts.owners?.[repo];
    if (owner !== undefined) return user === owner;
    return action === "pull" || user !== undefined;
  }

  get #accounts(): Accounts {
    return this.#auth.kind === "none" ? {} : this.#auth;
  }
}

const jwt = (user: string | undefined, scopes: readonly string[], until: number): string => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { sub: user ?? "", aud: SERVICE, exp: Math.floor(until / 1_000), jti: randomBytes(8).toString("hex"), scopes };
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", "fault").update(signed).digest("base64url")}`;
};
