// The CA's two files as they lie on disk. ca.crt is public and holds certificates only; ca.key is its owner's alone and holds keys, each
// followed by its own certificate, so that one rename commits both and a ca.crt that is lost is made again bit for bit.
import * as fs from "node:fs";
import { dirname } from "node:path";
import { CaError } from "./ca-error.ts";
import { type CertificateFile, type KeyFile, parseCertificateFile, parseKeyFile } from "./ca-pem.ts";

export interface CaPaths {
  readonly certificateFile: string;
  readonly keyFile: string;
}

export interface CaFiles {
  /** Undefined when there is no such file. */
  readonly certificates: CertificateFile | undefined;
  readonly keys: KeyFile | undefined;
}

// A CA file has a few kilobytes; more is a wrong file.
const MAX_BYTES = 256 * 1024;

/** Reads both, the certificate first: whoever adds a root writes its key first, so what is read here has its key. Throws CaError. */
export const readCaFiles = ({ certificateFile, keyFile }: CaPaths): CaFiles => {
  const certificates = readFile(certificateFile, "public");
  const keys = readFile(keyFile, "private");
  return {
    certificates: certificates === undefined ? undefined : parseCertificateFile(certificateFile, certificates),
    keys: keys === undefined ? undefined : parseKeyFile(keyFile, keys),
  };
};

const readFile = (path: string, kind: "public" | "private"): string | undefined => {
  try {
    // O_NONBLOCK: a pipe must not hold the start up.
    const fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    try {
      refuseUnfit(path, kind, fs.fstatSync(fd));
      return fs.readFileSync(fd, "utf8");
    } finally {
      fs.closeSync(fd);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    if (error instanceof CaError) throw error;
    throw unreadable(path, error);
  }
};

const refuseUnfit = (path: string, kind: "public" | "private", stat: fs.Stats): void => {
  if (!stat.isFile()) {
    const mend = "name a file here (a container engine makes a directory where it is told to mount a file that is not there)";
    throw new CaError({ path, problem: "is not a file", mend });
  }
  if (stat.size > MAX_BYTES) {
    throw new CaError({
      path,
      problem: `has ${stat.size} bytes, which no CA's file has`,
      mend: "name the CA's own PEM file here",
    });
  }
  if (kind === "private" && (stat.mode & 0o077) !== 0) {
    const mode = (stat.mode & 0o777).toString(8).padStart(4, "0");
    const mend = `chmod 600 ${path}; whoever could read it can speak for every site, so if others were about, make a new CA`;
    throw new CaError({ path, problem: `the CA's private key may be read or written by others (mode ${mode})`, mend });
  }
};

const unreadable = (path: string, error: unknown): CaError =>
  new CaError(
    { path, problem: `cannot be read: ${(error as Error).message}`, mend: "let the user that Layover runs as read it" },
    error,
  );

/** Replaces the file as a whole, or not at all. Directories are made, for a private file 0700. Throws CaError. */
export const writeFile = (path: string, kind: "public" | "private", text: string): void => {
  try {
    fs.mkdirSync(dirname(path), { recursive: true, mode: kind === "private" ? 0o700 : 0o755 });
    const target = fs.existsSync(path) ? fs.realpathSync(path) : path;
    replace(target, kind === "private" ? 0o600 : 0o644, text);
  } catch (error) {
    throw unwritable(path, error);
  }
};

const replace = (target: string, mode: number, text: string): void => {
  // The name is fixed and only the lock's holder writes: what a crash left there is removed, not piled up.
  const fresh = `${target}.new`;
  fs.rmSync(fresh, { force: true });
  try {
    writeDurably(fresh, mode, text, ownerOf(target));
    fs.renameSync(fresh, target);
  } catch (error) {
    fs.rmSync(fresh, { force: true });
    throw error;
  }
  syncDirectory(dirname(target));
};

/** Of the file that is replaced, or of its folder: a command that root gives must leave Layover's own user what it can read. */
const ownerOf = (target: string): fs.Stats => fs.statSync(fs.existsSync(target) ? target : dirname(target));

const writeDurably = (path: string, mode: number, text: string, { uid, gid }: fs.Stats): void => {
  const fd = fs.openSync(path, "wx", mode);
  try {
    if (process.geteuid?.() === 0) fs.fchownSync(fd, uid, gid);
    fs.fchmodSync(fd, mode); // whatever the umask is
    fs.writeFileSync(fd, text);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
};

const syncDirectory = (path: string): void => {
  const fd = fs.openSync(path, "r");
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
};

const unwritable = (path: string, error: unknown): CaError =>
  new CaError(
    {
      path,
      problem: `cannot be written: ${(error as Error).message}`,
      mend: `let the user that Layover runs as write in ${dirname(path)}, or name another place (\`ca.certificate\`, \`ca.key\`)`,
    },
    error,
  );

/** A directory that only its owner may enter, for what lies beside the key. Throws CaError. */
export const makePrivateDirectory = (path: string): void => {
  try {
    fs.mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unwritable(path, error);
  }
};
