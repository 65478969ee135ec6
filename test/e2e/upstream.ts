// A real registry behind nginx under its real hostname; nginx's log says what was asked of it and how much it gave.
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import type { Authority, Pair } from "./authority.ts";
import { Htpasswd } from "./htpasswd.ts";
import type { Image, Index } from "./image.ts";
import { listens } from "./internet.ts";
import { SCRIPT } from "./layover.ts";
import { OwnRealm } from "./own-realm.ts";
import { Part } from "./part.ts";
import { ISSUER, SERVICE, type TokenServer } from "./tokens.ts";
import { until } from "./until.ts";

export type Hit = { method: string; path: string; status: number; bytes: number };
/**
 * distribution 3, Debian's 2.8 of it, go-containerregistry's, which has the referrers API and forgets all when it stops, or another
 * Layover, which hosts it.
 */
export type Software = "registry" | "docker-registry" | "referrers-registry" | "layover";
/** What says who may do what. */
export type Guard = TokenServer | OwnRealm | Htpasswd;
type Where = { host: string; address: string; dir: string };
type Answer = { status: number; headers: Headers; bytes: Buffer };

const MANIFESTS = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "*/*",
].join(", ");

export class Upstream {
  readonly host: string;
  readonly address: string;
  readonly #dir: string;
  readonly #pair: Pair;
  readonly #roots: string;
  readonly #guard: Guard | undefined;
  readonly #software: Software;
  #asksCertificate = false;
  #largest = 0;
  #registry: Part | undefined;
  #nginx: Part | undefined;

  private constructor(where: Where, pair: Pair, roots: string, guard: Guard | undefined, software: Software) {
    this.host = where.host;
    this.address = where.address;
    this.#dir = where.dir;
    this.#pair = pair;
    this.#roots = roots;
    this.#guard = guard;
    this.#software = software;
  }

  static async make(
    authority: Authority,
    host: string,
    address: string,
    dir: string,
    guard?: Guard,
    software: Software = "registry",
  ): Promise<Upstream> {
    await mkdir(`${dir}/nginx`, { recursive: true });
    const pair = await authority.issue(host);
    return new Upstream({ host, address, dir }, pair, authority.certificate, guard, software);
  }

  async start(): Promise<void> {
    await this.#startRegistry();
    await this.#startNginx(0);
  }

  /** From now on each blob leaves it at `rate` bytes a second; 0 for no limit. */
  async limit(rate: number): Promise<void> {
    await this.#nginx?.stop();
    await this.#startNginx(rate);
  }

  /** Answers 429 to whoever asks for a manifest, for `seconds` by its own word; 0 for no more of that. */
  async throttle(seconds: number): Promise<void> {
    await this.#nginx?.stop();
    await this.#startNginx(0, seconds);
  }

  /** From now on no request may have a longer body than this. */
  async takeAtMost(bytes: number): Promise<void> {
    this.#largest = bytes;
    await this.limit(0);
  }

  /** From now on only who shows a certificate of the public CA's is let in. */
  async askForCertificate(): Promise<void> {
    this.#asksCertificate = true;
    await this.limit(0);
  }

  async stop(): Promise<void> {
    await Promise.all([this.#nginx?.stop(), this.#registry?.stop()]);
  }

  /** Answers 502 to everything, as a registry whose back end is down. */
  async breakDown(): Promise<void> {
    await this.#registry?.stop();
  }

  async mend(): Promise<void> {
    await this.#startRegistry();
  }

  /** Takes connections and never answers: nginx is stopped in its tracks. */
  freeze(): void {
    this.#nginx?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#nginx?.kill("SIGCONT");
  }

  /** Forgets everything it ever held. */
  async wipe(): Promise<void> {
    await this.#registry?.stop();
    await rm(`${this.#dir}/storage`, { recursive: true, force: true });
    await this.#startRegistry();
  }

  /** What has been asked of it from outside since `mark` requests. */
  async hits(mark = 0): Promise<Hit[]> {
    const text = await readFile(`${this.#dir}/access.log`, "utf8").catch(() => "");
    const lines = text.split("\n").filter(Boolean).slice(mark);
    return lines.map((line) => {
      const [method = "", path = "", status, bytes] = line.split(" ");
      return { method, path, status: Number(status), bytes: Number(bytes) };
    });
  }

  async mark(): Promise<number> {
    return (await this.hits()).length;
  }

  /** Bytes of blobs that left it since then. */
  async blobBytes(mark = 0): Promise<number> {
    const gets = (await this.hits(mark)).filter(({ method, path }) => method === "GET" && path.includes("/blobs/"));
    return gets.filter(({ status }) => status === 200 || status === 206).reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The same when at least `expected` bytes are in nginx's log, which is written after an answer has ended; or after 5 s. */
  async settledBlobBytes(mark: number, expected: number): Promise<number> {
    await until("nginx to have written its log", 5_000, async () => (await this.blobBytes(mark)) >= expected).catch(() => {});
    return this.blobBytes(mark);
  }

  /** Asks the registry itself, past nginx and everything before it, with all rights. */
  async straight(method: string, path: string, body?: Buffer, type = "application/octet-stream"): Promise<Answer> {
    const [, repository = ""] = /^\/v2\/(.+?)\/(?:blobs|manifests|tags)\//.exec(path) ?? [];
    const authorization = this.#allRights(repository);
    const headers = { accept: MANIFESTS, "content-type": type, ...(authorization && { authorization }) };
    const url = new URL(path, `http://${this.address}:5000`);
    const response = await fetch(url, { method, headers, ...(body && { body: new Uint8Array(body) }) });
    return { status: response.status, headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) };
  }

  /** Puts an image there without anybody noticing. */
  async put(image: Image, repository: string, tag: string): Promise<void> {
    for (const { digest, bytes } of image.blobs) {
      const { headers } = await this.straight("POST", `/v2/${repository}/blobs/uploads/`);
      const place = new URL(headers.get("location") ?? "", `http://${this.address}:5000`);
      place.searchParams.set("digest", digest);
      expectStatus(201, await this.straight("PUT", place.pathname + place.search, bytes), `blob ${digest}`);
    }
    await this.#putManifest(image, repository, tag);
  }

  /** The same with the images of every platform, which have no tags of their own. */
  async putIndex(index: Index, repository: string, tag: string): Promise<void> {
    for (const image of index.images) await this.put(image, repository, image.manifest.digest);
    await this.#putManifest(index, repository, tag);
  }

  async #putManifest({ manifest, mediaType }: Image | Index, repository: string, reference: string): Promise<void> {
    const answer = await this.straight("PUT", `/v2/${repository}/manifests/${reference}`, manifest.bytes, mediaType);
    expectStatus(201, answer, `${repository}:${reference}`);
  }

  /** Loses a manifest and all its blobs, in this repository alone. */
  async lose(repository: string, reference: string): Promise<void> {
    const { headers, bytes } = await this.straight("GET", `/v2/${repository}/manifests/${reference}`);
    const { config, layers } = JSON.parse(bytes.toString()) as { config: Sized; layers: Sized[] };
    const blobs = new Set([config, ...layers].map(({ digest }) => `blobs/${digest}`));
    for (const what of [...blobs, `manifests/${headers.get("docker-content-digest")}`])
      expectStatus(202, await this.straight("DELETE", `/v2/${repository}/${what}`), what);
  }

  /** The digest of a manifest that is there with all its blobs, whole; undefined when it is not there. */
  async whole(repository: string, reference: string): Promise<string | undefined> {
    const manifest = await this.straight("GET", `/v2/${repository}/manifests/${reference}`);
    if (manifest.status !== 200) return undefined;
    const { config, layers } = JSON.parse(manifest.bytes.toString()) as { config: Sized; layers: Sized[] };
    for (const { digest, size } of [config, ...layers]) {
      const { status, headers } = await this.straight("HEAD", `/v2/${repository}/blobs/${digest}`);
      if (status !== 200 || Number(headers.get("content-length")) !== size) return undefined;
    }
    return manifest.headers.get("docker-content-digest") ?? undefined;
  }

  #allRights(repository: string): string | undefined {
    if (this.#guard instanceof Htpasswd) return this.#guard.lab;
    const tokens = this.#guard instanceof OwnRealm ? this.#guard.tokens : this.#guard;
    const token = tokens?.mint([{ type: "repository", name: repository, actions: ["pull", "push", "delete"] }]);
    return token && `Bearer ${token}`;
  }

  async #startRegistry(): Promise<void> {
    const settings = `${this.#dir}/registry.json`;
    await writeFile(settings, JSON.stringify(this.#software === "layover" ? this.#hosting() : this.#settings()));
    const lab = `${process.env["LAYOVER_LAB"]}/bin`;
    const commands: Record<Software, string[]> = {
      registry: [`${lab}/registry`, "serve", settings],
      "docker-registry": ["/usr/bin/docker-registry", "serve", settings],
      "referrers-registry": [`${lab}/referrers-registry`, `${this.address}:5000`],
      layover: [process.execPath, SCRIPT, "serve", "--only", "front", "--config", settings],
    };
    const argv = commands[this.#software];
    const [name, log, env] = [`registry ${this.host}`, `${this.#dir}/registry.log`, { OTEL_TRACES_EXPORTER: "none" }];
    this.#registry = await Part.start(name, argv, log, () => listens(this.address, 5000), { env });
  }

  async #startNginx(rate: number, throttled = 0): Promise<void> {
    const throttle = throttled === 0 ? "" : `location ~ /manifests/ { ${refusing(throttled)} }`;
    await writeFile(`${this.#dir}/nginx.conf`, this.#front(rate, throttle));
    const argv = ["nginx", "-p", `${this.#dir}/nginx`, "-e", "stderr", "-c", `${this.#dir}/nginx.conf`];
    this.#nginx = await Part.start(`nginx for ${this.host}`, argv, `${this.#dir}/nginx.log`, () => listens(this.address, 443));
  }

  // JSON is YAML.
  #settings() {
    return {
      version: "0.1",
      log: { level: "warn", accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: `${this.#dir}/storage` }, delete: { enabled: true } },
      http: { addr: `${this.address}:5000`, secret: "lab" },
      ...(this.#guard && { auth: this.#auth(this.#guard) }),
    };
  }

  #hosting() {
    return {
      listen: { dns: [], https: [`${this.address}:5000`], http: [], admin: [] },
      answer: this.address,
      data: `${this.#dir}/storage`,
      ca: { certificate: `${this.#dir}/ca.crt`, key: `${this.#dir}/ca.key` },
      sites: { [this.host]: { kind: "local", access: "anonymous" } },
    };
  }

  #auth(guard: Guard) {
    if (guard instanceof Htpasswd) return { htpasswd: { realm: "lab", path: guard.file } };
    const realm = guard instanceof OwnRealm ? guard.realm : "https://gitlab.com/jwt/auth";
    return { token: { realm, service: SERVICE, issuer: ISSUER, rootcertbundle: this.#roots } };
  }

  #front(rate: number, throttle: string): string {
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
      (each) => `${each}_temp_path ${this.#dir}/nginx/${each};`,
    );
    const scheme = this.#software === "layover" ? "https" : "http";
    return `
      daemon off; master_process off; pid ${this.#dir}/nginx/pid; error_log stderr;
      events {}
      http {
        ${paths.join(" ")}
        log_format hit '$request_method $uri $status $body_bytes_sent';
        access_log ${this.#dir}/access.log hit;
        client_max_body_size ${this.#largest}; proxy_request_buffering off; proxy_max_temp_file_size 0; proxy_http_version 1.1;
        upstream registry { server ${this.address}:5000; keepalive 16; } # without: a body that it does not read, and it resets the connection
        server {
          listen ${this.address}:443 ssl http2;
          server_name ${this.host};
          ssl_certificate ${this.#pair.certificate}; ssl_certificate_key ${this.#pair.key};
          ${this.#asksCertificate ? `ssl_client_certificate ${this.#roots}; ssl_verify_client on;` : ""}
          proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto https; proxy_set_header Connection "";
          proxy_ssl_server_name on; proxy_ssl_name ${this.host};
          location / { proxy_pass ${scheme}://registry; }
          ${throttle}
          ${this.#guard instanceof OwnRealm ? this.#guard.location : ""}
          location ~ /blobs/sha256: { limit_rate ${rate}; proxy_pass ${scheme}://registry; }
        }
      }`;
  }
}

/** In the words of the Hub. */
const refusing = (seconds: number): string => {
  const error = { code: "TOOMANYREQUESTS", message: "You have reached your pull rate limit" };
  const headers = `add_header Retry-After ${seconds} always; default_type application/json;`;
  return `${headers} return 429 '${JSON.stringify({ errors: [error] })}';`;
};

type Sized = { digest: string; size: number };

const expectStatus = (status: number, answer: Answer, what: string): void => {
  if (answer.status !== status) throw new Error(`${what}: ${answer.status} ${answer.bytes.toString().slice(0, 500)}`);
};
