// A token server under the registry's own name, as ghcr.io and quay.io have it: the same one, reached through the registry's nginx.
import { ADDRESS, type TokenServer } from "./tokens.ts";

export class OwnRealm {
  readonly tokens: TokenServer;
  readonly realm: string;
  /** For nginx. */
  readonly location: string;

  constructor(tokens: TokenServer, host: string, path: string) {
    this.tokens = tokens;
    this.realm = `https://${host}${path}`;
    this.location = `location = ${path} { proxy_set_header Host gitlab.com; proxy_pass https://${ADDRESS}/jwt/auth; }`;
  }
}
