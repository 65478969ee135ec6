// The values that only the configuration knows: names of hosts, origins of upstreams, resolvers. Each parser's error is what the user reads.
import { isIP } from "node:net";
import { domainToASCII } from "node:url";
import { isHost, plainHost } from "../lib/host-name.ts";
import { isWildcardName, suffixOf } from "../lib/host-table.ts";
import { formatResolver, parseResolver } from "../lib/resolver-address.ts";

/** A DNS name (RFC 1123 2.1) in lower case, internationalised ones as their ASCII form. No port, no wildcard, no address. */
export const parseHost = (text: string): string => {
  const wrong = (why: string) =>
    new Error(`expected a host name such as registry.example, found ${JSON.stringify(text)} (${why})`);
  if (isIP(text) !== 0) throw wrong("an address has no name to stand in for");
  if (text.includes("*")) throw wrong("no wildcard has a meaning here");
  if (text.includes("/")) throw wrong("only the host, without scheme and path");
  if (text.includes(":")) throw wrong("without a port: names are taken over on port 443");
  const name = domainToASCII(plainHost(text.trim()));
  if (name === "" || name.length > 253 || isIP(name) !== 0) throw wrong("no valid name");
  if (!isHost(name)) throw wrong("labels are letters, digits and hyphens");
  return name;
};

/** `*.pkg.dev`, to one spelling. */
export const parseWildcard = (text: string): string => {
  try {
    return `*.${parseHost(text.slice(2))}`;
  } catch {
    throw new Error(`expected a suffix such as *.registry.example, found ${JSON.stringify(text)}`);
  }
};

export const parseHostOrWildcard = (text: string): string => (isWildcardName(text) ? parseWildcard(text) : parseHost(text));

/** An http(s) origin. What a user may have put there as a password is never repeated in the error. */
export const parseUpstream = (text: string): URL => {
  if (!URL.canParse(text)) throw new Error("expected an origin such as https://registry.example, found no URL");
  const url = new URL(text);
  if (url.username !== "" || url.password !== "")
    throw new Error("credentials belong in the site's `credentials`, not in the URL");
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw new Error(`expected an https:// or http:// origin, found ${JSON.stringify(text)}`);
  }
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    throw new Error(`expected an origin without path, found ${JSON.stringify(text)}`);
  }
  if (suffixOf(url.hostname).includes("*")) throw new Error(`expected a star only as in https://*.registry.example`);
  return url;
};

/** To one spelling: `8.8.8.8:53`, `tls://dns.google`, `https://dns.google/dns-query`. */
export const resolverText = (text: string): string => formatResolver(parseResolver(text));

/** `http://user:password@proxy.corp:3128`; `undefined`: none. Nothing of the text is repeated in the error, for there may be a password in it. */
export const parseHttpProxy = (text: string): URL | undefined => {
  if (text === "none") return undefined;
  const expected = "expected an HTTP proxy such as http://proxy.corp:3128, or none";
  const url = URL.parse(text);
  if (url === null || !/^https?:\/\//i.test(text)) throw new Error(`${expected}, found something else`);
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "")
    throw new Error(
      `${expected}, found more behind its host (a password with /, ?, # or @ in it is written with %2F and the like)`,
    );
  try {
    decodeURIComponent(url.username + url.password);
  } catch {
    throw new Error(`${expected}: a % in its password is written as %25`);
  }
  return url;
};

/** What stands behind `docker-credential-`: a program's name, and no path to one. */
export const parseHelper = (text: string): string => {
  const wrong = (why: string) =>
    new Error(`expected the name of a credential helper such as ecr-login, found ${JSON.stringify(text.slice(0, 80))} (${why})`);
  if (text.startsWith("docker-credential-")) throw wrong('without "docker-credential-"');
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(text))
    throw wrong("letters, digits, hyphens, dots: it is looked for on the PATH");
  return text;
};

/** Of what names are made (oci/reference.ts), with the stars of a glob among it. */
const REPOSITORY_GLOB = /^[a-z0-9*][a-z0-9._*-]*(\/[a-z0-9*][a-z0-9._*-]*)*$/;
const TAG_GLOB = /^[\w*][\w.*-]*$/;

/** `repository:tag` globs, or a repository's alone: `acme/app:v*`, `**:latest`, `acme/**`. A pattern that nothing can match is refused. */
export const parseMatch = (text: string): string => {
  const wrong = (why: string) =>
    new Error(
      `expected a pattern such as acme/app:v*, **:latest or acme/**, found ${JSON.stringify(text.slice(0, 80))} (${why})`,
    );
  if (text.length > 400) throw wrong("no name is that long");
  if (text.includes("@")) throw wrong("a digest never moves: no rule is about one");
  const [repository = "", tag, ...more] = text.split(":");
  if (more.length > 0 || tag?.includes("/") === true) throw wrong("without a host and its port: the rules are the site's own");
  if (tag === "") throw wrong('nothing behind the ":": leave it out to mean every tag');
  if (/[A-Z]/.test(repository)) throw wrong("repositories are in lower case");
  if (/[?[\]{}()|^$+\\]/.test(text)) throw wrong("* within one part and ** across parts are all there is");
  if (!REPOSITORY_GLOB.test(repository))
    throw wrong(repository.startsWith("/") ? 'without the leading "/"' : "no repository is called that");
  if (tag !== undefined && !TAG_GLOB.test(tag)) throw wrong("no tag is called that");
  return text;
};
