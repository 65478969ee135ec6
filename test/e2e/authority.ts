// The public CA of this world: what the real registries' certificates hang from, and every builder trusts.
import { writeFile } from "node:fs/promises";
import { must } from "./part.ts";

export type Pair = { certificate: string; key: string };

const openssl = (...args: string[]) => must(["openssl", ...args]);
const EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];

export class Authority {
  readonly certificate: string;
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
    this.certificate = `${dir}/public-ca.pem`;
  }

  static async make(dir: string): Promise<Authority> {
    const authority = new Authority(dir);
    const subject = ["-subj", "/CN=Public CA of the lab", "-addext", "keyUsage=critical,keyCertSign,cRLSign"];
    await openssl("req", "-x509", ...EC, ...subject, "-keyout", `${dir}/public-ca.key`, "-out", authority.certificate);
    return authority;
  }

  /** A certificate for one hostname, or for whoever is to show it as a client. */
  async issue(host: string, use: "serverAuth" | "clientAuth" = "serverAuth"): Promise<Pair> {
    const base = `${this.#dir}/${host}`;
    await writeFile(`${base}.ext`, `subjectAltName=DNS:${host}\nbasicConstraints=CA:false\nextendedKeyUsage=${use}\n`);
    await openssl("req", ...EC, "-subj", `/CN=${host}`, "-keyout", `${base}.key`, "-out", `${base}.csr`);
    const ca = ["-CA", this.certificate, "-CAkey", `${this.#dir}/public-ca.key`, "-CAcreateserial"];
    await openssl("x509", "-req", ...ca, "-in", `${base}.csr`, "-days", "30", "-extfile", `${base}.ext`, "-out", `${base}.pem`);
    return { certificate: `${base}.pem`, key: `${base}.key` };
  }
}
