// regsync's `creds`: what is asked for as whom. No secret is taken over: where one stands in the file, its place is taken by a variable.
import type { Host, HostSettings, Hosts } from "./hosts.ts";
import { isGiven, type Part } from "./reading.ts";
import { hasActions, soleCall } from "./template.ts";

/** What regsync has and Layover needs nothing for, or has no place for. */
const WITHOUT: Record<string, string> = {
  pathPrefix: "a target names its whole repository",
  mirrors: "copies of one registry stand under the site's `upstream`",
  priority: "the site's `upstream` is tried in its order",
  repoAuth: "tokens are for one repository each anyway",
  api: "is not needed",
  apiOpts: "has no counterpart",
  blobChunk: "blobs are sent as a whole",
  blobMax: "blobs are sent as a whole",
  reqPerSec: "`rateLimit` and what upstream says keep it in bounds",
  credExpire: "what a helper gives is kept for five minutes",
  credHost: "a helper is asked for the upstream's own name",
};

/** Whether regsync speaks HTTP to it. */
export const isPlain = (part: Part): boolean => part.text("tls") === "disabled" || part.text("scheme") === "http";

export const takeCreds = (part: Part, hosts: Hosts): void => {
  const registry = part.text("registry");
  if (registry === undefined) part.note("", "not carried over: names no registry");
  else if (hasActions(registry)) part.note("registry", "not carried over: of a template nobody knows which site it is");
  else takeHost(part, registry, hosts.find(registry));
};

const takeHost = (part: Part, registry: string, { site, settings }: Host): void => {
  const other = part.text("hostname");
  if (other !== undefined && other !== registry && site?.lookupNames.includes(other) !== true)
    settings.upstream = `${isPlain(part) ? "http" : "https"}://${other}`;
  if (part.text("tls") === "insecure")
    part.note("tls", "certificates are always checked: `trust` under the site names the root that signed it");
  const concurrency = part.number("reqConcurrent");
  if (concurrency !== undefined && concurrency >= 1) settings.concurrency = Math.min(Math.floor(concurrency), 1_000);
  const trust = pemOf(part, "regcert");
  if (trust !== undefined) settings.trust = trust;
  const clientCertificate = clientCertificateOf(part, registry);
  if (clientCertificate !== undefined) settings.clientCertificate = clientCertificate;
  const credentials = credentialsOf(part, registry);
  if (credentials !== undefined && site?.kind === "local") part.note("user", "not carried over: the site is hosted here");
  else if (credentials !== undefined && site?.credentials !== undefined)
    part.note("user", `not carried over: the site ${site.host} has \`credentials\` already`);
  else if (credentials !== undefined) settings.credentials = credentials;
  for (const [key, why] of Object.entries(WITHOUT)) if (isGiven(part, key)) part.note(key, `not carried over: ${why}`);
};

const clientCertificateOf = (part: Part, registry: string): HostSettings["clientCertificate"] => {
  const certificate = pemOf(part, "clientCert");
  const given = part.text("clientKey");
  if (certificate === undefined && given === undefined) return undefined;
  const key = given === undefined ? undefined : secretOf(part, "clientKey", given, variableOf(registry, "CLIENT_KEY"));
  if (certificate !== undefined && key !== undefined) return { certificate, key: key.file ?? key.text };
  part.note("clientKey", "not carried over: only both together make sense");
  return undefined;
};

/** A file's name, or the text. */
const pemOf = (part: Part, key: string): string | undefined => {
  const text = part.text(key);
  if (text === undefined || !hasActions(text)) return text;
  const call = soleCall(text);
  if (call === undefined) part.note(key, "a template that has no counterpart: not carried over");
  return call === undefined ? undefined : call.name === "file" ? call.argument : `\${${call.argument}}`;
};

const credentialsOf = (part: Part, registry: string): Record<string, string> | undefined => {
  const [user, pass, token, helper] = ["user", "pass", "token", "credHelper"].map((key) => part.text(key));
  if (helper !== undefined) return helperOf(part, helper);
  if (token !== undefined) {
    const secret = secretOf(part, "token", token, variableOf(registry, "TOKEN"));
    return secret.file === undefined ? { token: secret.text } : { tokenFile: secret.file };
  }
  if (user === undefined && pass === undefined) return undefined;
  if (user === undefined || pass === undefined) {
    part.note(user === undefined ? "pass" : "user", "not carried over: user and password belong together");
    return undefined;
  }
  const secret = secretOf(part, "pass", pass, variableOf(registry, "PASSWORD"));
  const username = nameOf(part, user, variableOf(registry, "USERNAME"));
  return { username, ...(secret.file === undefined ? { password: secret.text } : { passwordFile: secret.file }) };
};

const helperOf = (part: Part, text: string): Record<string, string> | undefined => {
  const name = /^(?:.*\/)?docker-credential-([A-Za-z0-9][A-Za-z0-9._-]{0,99})$/.exec(text)?.[1];
  if (name === undefined) part.note("credHelper", "not carried over: expected a docker-credential-… helper");
  else if (text.includes("/")) part.note("credHelper", `docker-credential-${name} is looked for on the PATH`);
  return name === undefined ? undefined : { helper: name };
};

const nameOf = (part: Part, user: string, variable: string): string => {
  if (!hasActions(user)) return user.replaceAll("${", () => "$${");
  const call = soleCall(user);
  if (call?.name === "env") return `\${${call.argument}}`;
  part.note("user", `only \`env\` can be carried over: put it into ${variable}`);
  return `\${${variable}}`;
};

const secretOf = (part: Part, key: string, text: string, variable: string): { text: string; file?: string } => {
  const call = hasActions(text) ? soleCall(text) : undefined;
  if (call?.name === "file") return { text: "", file: call.argument };
  if (call?.name === "env") return { text: `\${${call.argument}}` };
  const what = hasActions(text)
    ? "only `env` and `file` can be carried over"
    : "a secret in the file itself, which is left there";
  part.note(key, `${what}: put it into ${variable}, or name a file with it`);
  return { text: `\${${variable}}` };
};

/** `registry.example:5000` → REGISTRY_EXAMPLE_5000_PASSWORD. */
const variableOf = (registry: string, what: string): string =>
  `${registry
    .toUpperCase()
    .replaceAll(/[^A-Z0-9]+/g, "_")
    .replace(/^(?=\d)/, "_")}_${what}`;
